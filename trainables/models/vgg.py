"""VGG16 (Simonyan & Zisserman, ICLR 2015, configuration D) for small images, as in the public codes of CAS and FSR."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from trainables import config
from trainables.config.architecture import VGG_WIDTHS as WIDTHS
from trainables.models.activation import Activation
from trainables.models.network import Network, Trace, initialise_as_he


class VGG(Network):
    """VGG: five stages of 3x3 convolutions, each followed by a 2x2 max pool, and three linear layers on the pooled maps.

    The hidden linear layers have as many units as the last convolution has channels, instead of 4,096, and no dropout. A
    position is the output of a convolution after its ReLU; a stage's last position lies before its pool. Maps of one pixel are
    not pooled, so images of 8 x 8 pixels are large enough. The last features are the second hidden layer's units, each returned
    as a map of one pixel, so class activation maps have one pixel too.

    Args:
        model: see :class:`trainables.config.Model`.
        info: shape of the data set.
        normalised: what batch normalisation follows: nothing, the ``convolutions`` (FSR's code) or ``all`` layers but the last
            (CAS's code). A layer before it has no bias, which it would cancel; the codes keep such parameters without effect.
    """

    def __init__(
        self, model: config.Model, info: config.DatasetInfo, normalised: Literal["convolutions", "all"] | None = None
    ) -> None:
        super().__init__(model)
        self.normalised = normalised
        batch_norm, linear_norm = normalised is not None, normalised == "all"
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
        self.hidden = nn.Sequential()
        for _ in range(2):
            self.hidden.append(nn.Linear(before, before, bias=not linear_norm))
            self.hidden.append(nn.BatchNorm1d(before) if linear_norm else nn.Identity())
            self.hidden.append(Activation(f"block{stage}.{n}"))
        self.fc = nn.Linear(before, info.classes)
        self.initialise(self)

    def initialise(self, part: nn.Module) -> None:
        """Initialise layers as the codes do: FSR's as He et al. and linear weights by N(0, 0.01^2), CAS's as torch."""
        if self.normalised != "convolutions":
            return
        initialise_as_he(part)
        for layer in part.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """Compute the last features (B, C, 1, 1); see :meth:`Network.extract`."""
        z = x
        for position, conv, bn, relu in zip(self.channels, self.convs, self.bns, self.relus, strict=True):
            z = self.visit(position, relu(bn(conv(z))), y, trace)
            if position in self.last and min(z.shape[2:]) > 1:
                z = F.max_pool2d(z, 2)
        units: Tensor = self.hidden(z.mean((2, 3)))
        return units[:, :, None, None]


def vgg_with_batch_norms(model: config.Model, info: config.DatasetInfo) -> VGG:
    """Build a VGG16 with batch normalisation after each convolution."""
    return VGG(model, info, normalised="convolutions")


def vgg_with_all_batch_norms(model: config.Model, info: config.DatasetInfo) -> VGG:
    """Build a VGG16 with batch normalisation after each convolution and each hidden linear layer."""
    return VGG(model, info, normalised="all")
