"""Wide ResNets (Zagoruyko & Komodakis, BMVC 2016): pre-activation blocks, without dropout."""

from torch import Tensor, nn

from trainables import config
from trainables.config.architecture import STEM
from trainables.models.activation import Activation
from trainables.models.network import Network, Trace, initialise_as_he


class WideBlock(nn.Module):
    """Block x + F(a), where the network computes a = relu(bn(x)); a 1x1 convolution of a replaces x where the shape changes."""

    def __init__(self, before: int, channels: int, stride: int, position: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = Activation(position)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(before, channels, 1, stride, bias=False) if stride != 1 or before != channels else None

    def forward(self, x: Tensor, a: Tensor) -> Tensor:
        """Map features x and their activation a, both (B, before, H, W), to (B, channels, H / stride, W / stride)."""
        z: Tensor = self.conv2(self.relu(self.bn(self.conv1(a))))
        return z + (x if self.shortcut is None else self.shortcut(a))


class WideResNet(Network):
    """Wide ResNet whose stage s has width 2^(s-1) channels and halves the resolution from stage 2 on.

    A position is the activated output of a block: the input of the next block's convolutions, or of the linear layer after the
    last block. A shortcut without convolution carries the output before activation, and so bypasses the position.
    """

    def __init__(self, model: config.Model, info: config.DatasetInfo) -> None:
        super().__init__(model)
        self.conv1 = nn.Conv2d(info.channels, STEM, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.relu1 = Activation("block1.1")
        self.blocks = nn.ModuleList()
        self.bns = nn.ModuleList()
        self.relus = nn.ModuleList()
        before = STEM
        for stage, n in enumerate(model.architecture.blocks, 1):
            for block in range(1, n + 1):
                after, position = model.width * 2 ** (stage - 1), f"block{stage}.{block}"
                self.blocks.append(WideBlock(before, after, 2 if stage > 1 and block == 1 else 1, position))
                self.bns.append(nn.BatchNorm2d(after))
                self.relus.append(Activation(position))
                self.channels[position] = before = after
        self.fc = nn.Linear(before, info.classes)
        self.initialise(self)

    def initialise(self, part: nn.Module) -> None:
        """Initialise layers as the public codes of TRADES, Feature Scattering and CAS do."""
        initialise_as_he(part)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """Compute the last features (B, C, H, W); see :meth:`Network.extract`."""
        z = self.conv1(x)
        a: Tensor = self.relu1(self.bn1(z))
        for position, block, bn, relu in zip(self.channels, self.blocks, self.bns, self.relus, strict=True):
            z = block(z, a)
            a = self.visit(position, relu(bn(z)), y, trace)
        return a
