"""How much a network computes, from its configuration alone. Pure, and without torch: a plan is sized at once.

But for networks with parts of one's own, which are built and counted.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from trainables.config import BLOCKS, CAS, CIFS, FSR, DatasetInfo, Model, Module, registry

#: Channels inside the nets of FSR, units inside CIFS's probe, channels of a wide ResNet's stem, and of VGG's stages in widths.
_FSR, _PROBE, _STEM, _VGG = 64, 128, 16, (1, 2, 4, 8, 8)


class _Place(NamedTuple):
    """What leads to a position: multiply-adds, and the channels and side in pixels of the features there."""

    position: str
    work: int
    channels: int
    size: int


@lru_cache(maxsize=1024)
def multiply_adds(model: Model, module: Module, info: DatasetInfo) -> int:
    """Multiply-adds of one forward pass of one image: convolutions and linear layers, the inserted modules' among them."""
    if model.name in registry.MODEL.parts or module.name in registry.MODULE.parts:
        return _counted(model, module, info)
    places = list(_NETWORKS[model.name](model, info))
    features = 84 if model.name == "lenet" else places[-1].channels
    inserted = sum(_module(module, place, info.classes) for place in places if place.position in module.positions)
    return sum(place.work for place in places) + inserted + features * info.classes


def _counted(model: Model, module: Module, info: DatasetInfo) -> int:
    """The same by a forward pass."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from trainables.models import build_model

    network = build_model(model, module, info, seed=0).eval()
    network.draw_from(torch.Generator().manual_seed(0))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, info.channels, info.size, info.size))
    return max(1, counter.get_total_flops() // 2)


def _convolution(before: int, after: int, kernel: int, size: int) -> int:
    """``size``: side of the output in pixels."""
    return before * after * kernel**2 * size**2


def _resnet(model: Model, info: DatasetInfo) -> Iterator[_Place]:
    wide, bottleneck = model.name.startswith("wrn"), model.name == "resnet-50"
    before, size = _STEM if wide else model.width, info.size
    yield _Place("", _convolution(info.channels, before, 3, size), before, size)
    for stage, blocks in enumerate(BLOCKS[model.name], 1):
        channels = model.width * 2 ** (stage - 1)
        after = 4 * channels if bottleneck else channels
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            fine, size = size, -(-size // stride)
            if bottleneck:
                work = _convolution(before, channels, 1, fine) + _convolution(channels, after, 1, size)
            else:
                work = _convolution(before, channels, 3, size)
            work += _convolution(channels, channels, 3, size)
            if stride > 1 or before != after:
                work += _convolution(before, after, 1, size)
            yield _Place(f"block{stage}.{block}", work, after, size)
            before = after


def _vgg(model: Model, info: DatasetInfo) -> Iterator[_Place]:
    before, size = info.channels, info.size
    for stage, convolutions in enumerate(BLOCKS[model.name], 1):
        after = model.width * _VGG[stage - 1]
        for n in range(1, convolutions + 1):
            yield _Place(f"block{stage}.{n}", _convolution(before, after, 3, size), after, size)
            before = after
        size = max(1, size // 2)


def _lenet(model: Model, info: DatasetInfo) -> Iterator[_Place]:
    first, second = model.width, max(1, model.width * 8 // 3)
    half, quarter = info.size // 2, info.size // 4
    yield _Place("block1.1", _convolution(info.channels, first, 5, info.size), first, info.size)
    yield _Place("block2.1", _convolution(first, second, 5, half), second, half)
    yield _Place("", second * quarter**2 * 120 + 120 * 84, 84, 1)


_NETWORKS = {name: _lenet if name == "lenet" else _vgg if name.startswith("vgg") else _resnet for name in BLOCKS}


def _module(module: Module, place: _Place, classes: int) -> int:
    """What a module adds at one of its positions; masks alone add no multiply-adds."""
    head = place.channels * classes
    if isinstance(module, CAS):
        return head
    if isinstance(module, CIFS):
        if module.probes[module.positions.index(place.position)] == "linear":
            return head
        # The probe, and its slope and relevance, which take the hidden units once more each way.
        return 3 * place.channels * _PROBE + _PROBE * classes
    if isinstance(module, FSR):
        net = 2 * _convolution(place.channels, _FSR, 3, place.size) + _convolution(_FSR, _FSR, 3, place.size)
        return net * (2 if module.separation == "learned" else 1) + 3 * head
    return 0
