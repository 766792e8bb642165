"""LeNet-5 (LeCun et al., Proc. IEEE 1998) as it is built today: ReLU, max pooling, every map of a layer fed by all before."""

import torch.nn.functional as F
from torch import Tensor, nn

from trainables import config
from trainables.models.network import Network, Trace, initialise


class LeNet(Network):
    """Two 5x5 convolutions, each with a 2x2 max pool, and linear layers of 120, 84 and ``classes`` units.

    Width 6 gives LeNet-5's 6 and 16 channels, other widths the same proportion. The convolutions are padded by 2, so images
    may be of any size from 4 pixels on: the first linear layer is made for ``info.size``.

    A position is the output of a convolution after its ReLU, before the pool. The last features are the 84 units. They have
    no place in the image, so each is a map of one pixel (as the 120 units are in the paper, which calls them a convolution),
    and methods that look at class activation maps see one number a channel.
    """

    def __init__(self, model: config.Model, info: config.DatasetInfo) -> None:
        super().__init__(model)
        first, second = model.width, max(1, model.width * 8 // 3)
        self.conv1 = nn.Conv2d(info.channels, first, 5, padding=2)
        self.conv2 = nn.Conv2d(first, second, 5, padding=2)
        self.channels = {"block1.1": first, "block2.1": second}
        self.hidden1 = nn.Linear(second * (info.size // 4) ** 2, 120)
        self.hidden2 = nn.Linear(120, 84)
        self.fc = nn.Linear(84, info.classes)
        initialise(self)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """See :meth:`Network.extract`; (B, 84, 1, 1)."""
        z = F.max_pool2d(self.visit("block1.1", F.relu(self.conv1(x)), y, trace), 2)
        z = F.max_pool2d(self.visit("block2.1", F.relu(self.conv2(z)), y, trace), 2)
        z = F.relu(self.hidden2(F.relu(self.hidden1(z.flatten(1)))))
        return z[:, :, None, None]
