"""LeNet-5 (LeCun et al., Proc. IEEE 1998) in its modern form: ReLUs, max pooling and fully connected channels."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from trainables import config
from trainables.config.architecture import LENETS
from trainables.models.activation import Activation
from trainables.models.network import Network, Trace


class LeNet(Network):
    """Two convolutions, each with a 2x2 max pool, and linear layers, the last of ``classes`` units.

    ``lenet``: kernels of 5x5 and 120 and 84 hidden units; width 6 gives LeNet-5's 6 and 16 channels, other widths the same
    proportion. ``lenet-afd``, of AFD's public code: kernels of 3x3, channels of the width, there 32, and of twice the width,
    and 64 hidden units. The convolutions are padded so that they keep the resolution, and the first linear layer fits
    ``info.size``, so images may have any size of at least 4 pixels.

    A position is the output of a convolution after its ReLU, before the pool. The last features are the last hidden units,
    each returned as a map of one pixel (like the 120 units in the paper, which calls them a convolution), so class activation
    maps have one pixel too.
    """

    def __init__(self, model: config.Model, info: config.DatasetInfo) -> None:
        super().__init__(model)
        first, (kernel, second, hidden) = model.width, LENETS[model.name](model.width)
        self.conv1 = nn.Conv2d(info.channels, first, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(first, second, kernel, padding=kernel // 2)
        self.channels = {"block1.1": first, "block2.1": second}
        widths = (second * (info.size // 4) ** 2, *hidden)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.relus = nn.ModuleList(map(Activation, ("block1.1", "block2.1", *("block2.1" for _ in hidden))))
        self.fc = nn.Linear(hidden[-1], info.classes)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """Compute the last features, (B, hidden, 1, 1); see :meth:`Network.extract`."""
        relu1, relu2, *relus = self.relus
        z = F.max_pool2d(self.visit("block1.1", relu1(self.conv1(x)), y, trace), 2)
        z = F.max_pool2d(self.visit("block2.1", relu2(self.conv2(z)), y, trace), 2)
        z = z.flatten(1)
        for layer, relu in zip(self.hidden, relus, strict=True):
            z = relu(layer(z))
        return z[:, :, None, None]
