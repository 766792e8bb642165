"""The built-in networks: their blocks, and the multiply-adds and feature shapes at every position. Imports no torch."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from trainables.config.data import DatasetInfo
from trainables.config.terms.registry import MODEL, Entry

#: Channels of a wide ResNet's stem, and channels of each VGG stage as multiples of the width.
STEM, VGG_WIDTHS = 16, (1, 2, 4, 8, 8)


class LeNetShape(NamedTuple):
    """A LeNet: the side of its kernels, the channels of its second convolution, and the units of its hidden layers."""

    kernel: int
    second: int
    hidden: tuple[int, ...]


#: The shape of each LeNet by its width, the channels of its first convolution.
LENETS: Mapping[str, Callable[[int], LeNetShape]] = MappingProxyType(
    {
        "lenet": lambda width: LeNetShape(5, max(1, width * 8 // 3), (120, 84)),
        "lenet-afd": lambda width: LeNetShape(3, 2 * width, (64,)),
    }
)


class Place(NamedTuple):
    """Features at one point of a network, and the multiply-adds from the previous point to it.

    Attributes:
        position: where a module can be inserted, such as ``block4.1``; "" where none can.
        work: multiply-adds.
        channels: of the features.
        size: side of the features in pixels.
    """

    position: str
    work: int
    channels: int
    size: int


class Architecture(NamedTuple):
    """A network as far as planning needs it.

    Attributes:
        blocks: number of blocks in each stage (of convolutions, for networks without blocks). Positions are named
            ``block<stage>.<block>``, both counted from 1.
        places: takes the network's name, its width and its data set; yields the places in forward order, the features of the
            classifier last. None where multiply-adds can only be counted by running the network.
        widths: channels of each stage of a ResNet, as multiples of the width.
        strides: of a ResNet's stem, and of the first block of each stage.
    """

    blocks: tuple[int, ...]
    places: Callable[[str, int, DatasetInfo], Iterator[Place]] | None = None
    widths: tuple[int, ...] = (1, 2, 4, 8)
    strides: tuple[int, ...] = (1, 1, 2, 2, 2)


def convolution(before: int, after: int, kernel: int, size: int) -> int:
    """Return the multiply-adds of a convolution from its channels and its kernel; ``size``: side of its output in pixels."""
    return before * after * kernel**2 * size**2


def _resnet(name: str, width: int, info: DatasetInfo) -> Iterator[Place]:
    wide, bottleneck = name.startswith("wrn"), name == "resnet-50"
    architecture: Architecture = MODEL.infos[name]
    before, size = STEM if wide else width, -(-info.size // architecture.strides[0])
    yield Place("", convolution(info.channels, before, 3, size), before, size)
    for stage, blocks in enumerate(architecture.blocks, 1):
        channels = width * architecture.widths[stage - 1]
        after = 4 * channels if bottleneck else channels
        for block in range(1, blocks + 1):
            stride = architecture.strides[stage] if block == 1 else 1
            fine, size = size, -(-size // stride)
            if bottleneck:
                work = convolution(before, channels, 1, fine) + convolution(channels, after, 1, size)
            else:
                work = convolution(before, channels, 3, size)
            work += convolution(channels, channels, 3, size)
            if stride > 1 or before != after:
                work += convolution(before, after, 1, size)
            yield Place(f"block{stage}.{block}", work, after, size)
            before = after


def _vgg(name: str, width: int, info: DatasetInfo) -> Iterator[Place]:
    before, size = info.channels, info.size
    for stage, convolutions in enumerate(MODEL.infos[name].blocks, 1):
        after = width * VGG_WIDTHS[stage - 1]
        for n in range(1, convolutions + 1):
            yield Place(f"block{stage}.{n}", convolution(before, after, 3, size), after, size)
            before = after
        size = max(1, size // 2)
    yield Place("", 2 * before**2, before, 1)


def _lenet(name: str, width: int, info: DatasetInfo) -> Iterator[Place]:
    kernel, second, hidden = LENETS[name](width)
    half, quarter = info.size // 2, info.size // 4
    yield Place("block1.1", convolution(info.channels, width, kernel, info.size), width, info.size)
    yield Place("block2.1", convolution(width, second, kernel, half), second, half)
    yield Place("", sum(a * b for a, b in pairwise((second * quarter**2, *hidden))), hidden[-1], 1)


_WIDE, _VGG16 = "wide_resnet:WideResNet", (2, 2, 3, 3, 3)

for _name, _meaning, _implementation, _architecture in (
    ("resnet-10", "ResNet of four blocks", "resnet:ResNet", Architecture((1, 1, 1, 1), _resnet)),
    ("resnet-18", "ResNet of eight blocks (He et al., CVPR 2016)", "resnet:ResNet", Architecture((2, 2, 2, 2), _resnet)),
    (
        "resnet-50",
        "ResNet of sixteen bottlenecks (He et al., CVPR 2016)",
        "resnet:resnet_of_bottlenecks",
        Architecture((3, 4, 6, 3), _resnet),
    ),
    (
        "resnet-18-afd",
        "ResNet of eight blocks, narrower, that halves the resolution at its stem and every stage (AFD's for MNIST)",
        "resnet:ResNet",
        Architecture((2, 2, 2, 2), _resnet, widths=(1, 2, 3, 4), strides=(2, 2, 2, 2, 2)),
    ),
    ("wrn-28", "Wide ResNet of 28 layers (Zagoruyko & Komodakis, BMVC 2016)", _WIDE, Architecture((4, 4, 4), _resnet)),
    ("wrn-34", "Wide ResNet of 34 layers (Zagoruyko & Komodakis, BMVC 2016)", _WIDE, Architecture((5, 5, 5), _resnet)),
    ("vgg-16", "VGG16 without batch norm (Simonyan & Zisserman, ICLR 2015)", "vgg:VGG", Architecture(_VGG16, _vgg)),
    ("vgg-16-bn", "VGG16 with batch norm after convolutions", "vgg:vgg_with_batch_norms", Architecture(_VGG16, _vgg)),
    ("vgg-16-bn-all", "VGG16 with batch norm after all layers", "vgg:vgg_with_all_batch_norms", Architecture(_VGG16, _vgg)),
    ("lenet", "LeNet (LeCun et al., 1998)", "lenet:LeNet", Architecture((1, 1), _lenet)),
    ("lenet-afd", "LeNet of 3x3 convolutions and 64 features (AFD's for MNIST)", "lenet:LeNet", Architecture((1, 1), _lenet)),
):
    MODEL.add(Entry(MODEL.title, _name, _architecture, f"trainables.models.{_implementation}", version=2, meaning=_meaning))
