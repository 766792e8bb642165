"""Networks, one family a file. Read ``network``, their base class, first."""

import torch

from trainables import config
from trainables.config.terms.registry import MODEL, MODULE
from trainables.models.activation import Activation
from trainables.models.network import Network
from trainables.rng import derive

__all__ = ["Network", "build_model"]


def build_model(model: config.Model, module: config.Module, info: config.DatasetInfo, seed: int) -> Network:
    """Build the network of a trial on the CPU, with initial weights from the stream ``init`` of ``seed``.

    ``module``: with canonical positions, as in a ``TrialConfig``. The backbone is initialised first, so its weights are
    the same with and without modules.

    Raises:
        ValueError: a position that this model does not have, or a module at activations of a model that exposes none.
    """
    # torch initialises layers from the global CPU generator only; fork_rng restores it.
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(derive(seed, "init"))
        network: Network = MODEL.load(model.name)(model, info)
        if isinstance(module, config.NoModule):
            return network
        for position in module.positions:
            if position not in network.channels:
                raise ValueError(f"{position!r} is no position of {model.name}; allowed: {', '.join(network.channels)}")
        insert = _at_activations if module.everywhere else _at_positions
        insert(network, module, info.classes)
    return network


def _at_positions(network: Network, module: config.Module, classes: int) -> None:
    for index, position in enumerate(module.positions):
        network.insert(position, MODULE.load(module.name)(module, index, network.channels[position], classes))


def _at_activations(network: Network, module: config.Module, classes: int) -> None:
    places = [a for a in network.modules() if isinstance(a, Activation) and a.position in module.positions]
    if not places:
        raise ValueError(f"module.sites = 'activations': {type(network).__name__} has none there; allowed: 'blocks'")
    for index, place in enumerate(places):
        place.inserted = MODULE.load(module.name)(module, index, network.channels[place.position], classes)
