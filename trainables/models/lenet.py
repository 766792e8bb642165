"""LeNet-5 (LeCun et al., Proc. IEEE 1998) in its modern form: ReLUs, max pooling and fully connected channels."""

import torch.nn.functional as F
from torch import Tensor, nn

from trainables import config
from trainables.models.activation import Activation
from trainables.models.network import Network, Trace, initialise


class LeNet(Network):
    """Two 5x5 convolutions, each with a 2x2 max pool, and linear layers of 120, 84 and ``classes`` units.

    Width 6 gives LeNet-5's 6 and 16 channels, other widths the same proportion. The convolutions are padded by 2, and the first
    linear layer fits ``info.size``, so images may have any size of at least 4 pixels.

    A position is the output of a convolution after its ReLU, before the pool. The last features are the 84 units, each
    returned as a map of one pixel (like the 120 units in the paper, which calls them a convolution), so class activation maps
    have one pixel too.
    """

    def __init__(self, model: config.Model, info: config.DatasetInfo) -> None:
        super().__init__(model)
        first, second = model.width, max(1, model.width * 8 // 3)
        self.conv1 = nn.Conv2d(info.channels, first, 5, padding=2)
        self.conv2 = nn.Conv2d(first, second, 5, padding=2)
        self.channels = {"block1.1": first, "block2.1": second}
        self.hidden1 = nn.Linear(second * (info.size // 4) ** 2, 120)
        self.hidden2 = nn.Linear(120, 84)
        self.relu1, self.relu2, self.relu3, self.relu4 = map(Activation, ("block1.1", *["block2.1"] * 3))
        self.fc = nn.Linear(84, info.classes)
        initialise(self)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """Compute the last features, (B, 84, 1, 1); see :meth:`Network.extract`."""
        z = F.max_pool2d(self.visit("block1.1", self.relu1(self.conv1(x)), y, trace), 2)
        z = F.max_pool2d(self.visit("block2.1", self.relu2(self.conv2(z)), y, trace), 2)
        units: Tensor = self.relu4(self.hidden2(self.relu3(self.hidden1(z.flatten(1)))))
        return units[:, :, None, None]
