"""VGG16 (Simonyan & Zisserman, ICLR 2015, configuration D) for small images, with one linear layer instead of three."""

import torch.nn.functional as F
from torch import Tensor, nn

from trainables import config
from trainables.config.architecture import VGG_WIDTHS as WIDTHS
from trainables.models.activation import Activation
from trainables.models.network import Network, Trace, initialise


class VGG(Network):
    """VGG: five stages of 3x3 convolutions, each followed by a 2x2 max pool.

    A position is the output of a convolution after its ReLU; a stage's last position lies before its pool. Maps of one pixel
    are not pooled, so images of 8 x 8 pixels are large enough.

    Args:
        model: see :class:`trainables.config.Model`.
        info: shape of the data set.
        batch_norm: whether batch normalisation follows each convolution, which then has no bias, since normalisation would
            cancel it. (torchvision keeps 4,224 such parameters without effect.)
    """

    def __init__(self, model: config.Model, info: config.DatasetInfo, batch_norm: bool = False) -> None:
        super().__init__(model)
        self.convs = nn.ModuleList()
        self.bns = nn.ModuleList()
        self.relus = nn.ModuleList()
        self.last = {f"block{stage}.{n}" for stage, n in enumerate(model.architecture.blocks, 1)}
        before = info.channels
        for stage, n in enumerate(model.architecture.blocks, 1):
            after = model.width * WIDTHS[stage - 1]
            for conv in range(1, n + 1):
                self.convs.append(nn.Conv2d(before, after, 3, padding=1, bias=not batch_norm))
                self.bns.append(nn.BatchNorm2d(after) if batch_norm else nn.Identity())
                self.channels[f"block{stage}.{conv}"] = before = after
                self.relus.append(Activation(f"block{stage}.{conv}"))
        self.fc = nn.Linear(before, info.classes)
        initialise(self)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """Compute the last features (B, C, H, W); see :meth:`Network.extract`."""
        z = x
        for position, conv, bn, relu in zip(self.channels, self.convs, self.bns, self.relus, strict=True):
            z = self.visit(position, relu(bn(conv(z))), y, trace)
            if position in self.last and min(z.shape[2:]) > 1:
                z = F.max_pool2d(z, 2)
        return z


def vgg_with_batch_norms(model: config.Model, info: config.DatasetInfo) -> VGG:
    """Build a VGG16 with batch normalisation after each convolution."""
    return VGG(model, info, batch_norm=True)
