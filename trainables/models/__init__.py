"""The networks, by the names in ``config.Model``."""

from collections import ChainMap
from collections.abc import Callable
from functools import partial

import torch

from trainables import config
from trainables.config import registry
from trainables.models.lenet import LeNet
from trainables.models.network import Network
from trainables.models.resnet import Bottleneck, ResNet
from trainables.models.vgg import VGG
from trainables.models.wide_resnet import WideResNet
from trainables.modules import MODULES
from trainables.rng import derive

__all__ = ["MODELS", "Network", "build_model"]

#: What builds the network of each name from its configuration and the data set's shape.
MODELS: ChainMap[str, Callable[[config.Model, config.DatasetInfo], Network]] = ChainMap(
    {
        "resnet-10": ResNet,
        "resnet-18": ResNet,
        "resnet-50": partial(ResNet, block=Bottleneck),
        "wrn-28": WideResNet,
        "wrn-34": WideResNet,
        "vgg-16": partial(VGG, batch_norm=False),
        "vgg-16-bn": partial(VGG, batch_norm=True),
        "lenet": LeNet,
    },
    registry.MODEL.table("builders"),
)


def build_model(model: config.Model, module: config.Module, info: config.DatasetInfo, seed: int) -> Network:
    """The network at the start of a trial, on the CPU, with weights from the stream ``init`` of ``seed``.

    ``module``: with canonical positions, as in a ``TrialConfig``. The backbone is drawn first, so it is the same with and
    without modules.

    Raises:
        ValueError: a position that this model does not have.
    """
    # torch's layers draw their weights from the global CPU generator only; fork_rng gives it back as it was.
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(derive(seed, "init"))
        network = MODELS[model.name](model, info)
        if isinstance(module, config.NoModule):
            return network
        for index, position in enumerate(module.positions):
            if position not in network.channels:
                raise ValueError(f"{position!r} is no position of {model.name}; allowed: {', '.join(network.channels)}")
            network.insert(position, MODULES[module.name](module, index, network.channels[position], info.classes))
    return network
