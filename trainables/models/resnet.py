"""ResNets for small images (He et al., CVPR 2016): a 3x3 stem at full resolution, then stages of blocks."""

from torch import Tensor, nn

from trainables import config
from trainables.models.activation import Activation
from trainables.models.network import Network, Trace


class BasicBlock(nn.Module):
    """Residual block relu(F(x) + x) with two 3x3 convolutions F, and a 1x1 convolution on x where the shape changes."""

    #: Output channels as a multiple of the convolutions' channels.
    expansion = 1

    def __init__(self, before: int, channels: int, stride: int, position: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = Activation(position)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = Activation(position)
        self.shortcut = _shortcut(before, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, channels, H / stride, W / stride)."""
        z: Tensor = self.relu1(self.bn1(self.conv1(x)))
        out: Tensor = self.relu2(self.bn2(self.conv2(z)) + self.shortcut(x))
        return out


class Bottleneck(nn.Module):
    """Residual block relu(F(x) + x), where F is a 1x1, a 3x3 and a 1x1 convolution, the last with four times the channels.

    The 3x3 convolution has the stride, as in common implementations; in the paper the first 1x1 convolution has it.
    """

    expansion = 4

    def __init__(self, before: int, channels: int, stride: int, position: str) -> None:
        super().__init__()
        after = channels * self.expansion
        self.conv1 = nn.Conv2d(before, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = Activation(position)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = Activation(position)
        self.conv3 = nn.Conv2d(channels, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.relu3 = Activation(position)
        self.shortcut = _shortcut(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, 4 channels, H / stride, W / stride)."""
        z: Tensor = self.relu1(self.bn1(self.conv1(x)))
        z = self.relu2(self.bn2(self.conv2(z)))
        out: Tensor = self.relu3(self.bn3(self.conv3(z)) + self.shortcut(x))
        return out


def _shortcut(before: int, after: int, stride: int) -> nn.Sequential:
    """Build the identity, or a 1x1 convolution where the shape changes."""
    if stride == 1 and before == after:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


class ResNet(Network):
    """ResNet whose stages have the channels (times the block's expansion) and the strides of its architecture.

    By default stage s has width 2^(s-1) channels, and the resolution is halved from stage 2 on. The stem is the one for CIFAR
    at every image size, as in FSR's public code for Tiny ImageNet's 64 x 64 pixels.
    A position is the output of a block, after its last ReLU.
    """

    def __init__(
        self, model: config.Model, info: config.DatasetInfo, block: type[BasicBlock] | type[Bottleneck] = BasicBlock
    ) -> None:
        super().__init__(model)
        blocks, _, widths, (stem, *strides) = model.architecture
        self.conv1 = nn.Conv2d(info.channels, model.width, 3, stem, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(model.width)
        self.relu1 = Activation("block1.1")
        self.blocks = nn.ModuleList()
        before = model.width
        for stage, (n, width, stride) in enumerate(zip(blocks, widths, strides, strict=True), 1):
            channels = model.width * width
            for place in range(1, n + 1):
                position = f"block{stage}.{place}"
                self.blocks.append(block(before, channels, stride if place == 1 else 1, position))
                self.channels[position] = before = channels * block.expansion
        self.fc = nn.Linear(before, info.classes)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        """Compute the last features (B, C, H, W); see :meth:`Network.extract`."""
        z: Tensor = self.relu1(self.bn1(self.conv1(x)))
        for position, block in zip(self.channels, self.blocks, strict=True):
            z = self.visit(position, block(z), y, trace)
        return z


def resnet_of_bottlenecks(model: config.Model, info: config.DatasetInfo) -> ResNet:
    """Build a ResNet whose blocks are bottlenecks."""
    return ResNet(model, info, block=Bottleneck)
