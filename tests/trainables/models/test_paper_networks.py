"""The networks of the papers' own experiments: how many weights they have, and where the modules sit."""

import pytest

from trainables.config import CAS, CIFS, FSR, Data, Model, NoModule, TrialConfig
from trainables.models import build_model

RESNET18, RESNET50 = Model(name="resnet-18"), Model(name="resnet-50")
VGG16, VGG16_BN, VGG16_BN_ALL = Model(name="vgg-16"), Model(name="vgg-16-bn"), Model(name="vgg-16-bn-all")
WRN28, WRN34 = Model(name="wrn-28", width=160), Model(name="wrn-34", width=160)

#: 3x3 convolutions of VGG16 (configuration D), channels before and after, on images of three channels.
VGG_CONVS = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512), *[(512, 512)] * 5]
VGG_WEIGHTS = sum(9 * before * after for before, after in VGG_CONVS)
VGG_CHANNELS = sum(after for _, after in VGG_CONVS)


def linear(before, after=10):
    return before * after + after


def mlp(channels):
    return linear(channels, 128) + linear(128)


def fsr(channels):
    """Two nets of three convolutions without biases, with two batch norms of 64 channels, and one linear layer."""
    return 2 * (9 * (channels * 64 + 64 * 64 + 64 * channels) + 2 * 2 * 64) + linear(channels)


BACKBONES = [
    (RESNET18, 11_173_962),
    (RESNET50, 23_520_842),
    (VGG16, VGG_WEIGHTS + VGG_CHANNELS + 2 * linear(512, 512) + linear(512)),
    (VGG16_BN, VGG_WEIGHTS + 2 * VGG_CHANNELS + 2 * linear(512, 512) + linear(512)),
    (VGG16_BN_ALL, VGG_WEIGHTS + 2 * VGG_CHANNELS + 2 * (512 * 512 + 2 * 512) + linear(512)),
    (WRN28, 36_479_194),
    (WRN34, 46_160_474),
]

DEFENSES = [
    (RESNET18, CAS(), {"block4.1": 512, "block4.2": 512}, 2 * linear(512)),
    (RESNET18, CIFS(), {"block4.1": 512, "block4.2": 512}, mlp(512) + linear(512)),
    (RESNET18, FSR(), {"block4.2": 512}, fsr(512)),
    (VGG16_BN_ALL, CAS(positions=("block5",), beta=3.0), {"block5.1": 512, "block5.2": 512, "block5.3": 512}, 3 * linear(512)),
    (VGG16_BN, FSR(positions=("block4.3",)), {"block4.3": 512}, fsr(512)),
    (WRN34, CAS(positions=("P2", "P1")), {"block3.4": 640, "block3.5": 640}, 2 * linear(640)),
    (WRN34, FSR(), {"block3.5": 640}, fsr(640)),
    (WRN28, CAS(positions=("P2", "P1")), {"block3.3": 640, "block3.4": 640}, 2 * linear(640)),
    (WRN28, CIFS(), {"block3.3": 640, "block3.4": 640}, mlp(640) + linear(640)),
]


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def build(model, module):
    trial = TrialConfig(data=Data(dataset="cifar10"), model=model, module=module)
    return trial, build_model(model, trial.module, trial.data.info, seed=0)


def test_the_literature_s_size_of_vgg16():
    assert VGG_WEIGHTS + VGG_CHANNELS + linear(512) == 14_719_818


@pytest.mark.parametrize(("model", "size"), BACKBONES, ids=lambda v: getattr(v, "name", None))
def test_backbones(model, size):
    assert parameters(build(model, NoModule())[1]) == size


@pytest.mark.parametrize(("model", "module", "places", "added"), DEFENSES, ids=lambda v: getattr(v, "name", ""))
def test_defenses(model, module, places, added):
    trial, network = build(model, module)
    assert trial.module.positions == tuple(places)
    assert {p: network.channels[p] for p in trial.module.positions} == places
    assert sorted(network.inserted) == sorted(p.replace(".", "_") for p in places)
    assert parameters(network) == dict(BACKBONES)[model] + added
