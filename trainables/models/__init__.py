"""Networks, one family a file. Read ``network``, their base class, first."""

import torch

from trainables import config
from trainables.config.terms.registry import MODEL, MODULE
from trainables.models.network import Network
from trainables.rng import derive

__all__ = ["Network", "build_model"]


def build_model(model: config.Model, module: config.Module, info: config.DatasetInfo, seed: int) -> Network:
    """Build the network of a trial on the CPU, with initial weights from the stream ``init`` of ``seed``.

    ``module``: with canonical positions, as in a ``TrialConfig``. The backbone is initialised first, so its weights are
    the same with and without modules.

    Raises:
        ValueError: a position that this model does not have.
    """
    # torch initialises layers from the global CPU generator only; fork_rng restores it.
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(derive(seed, "init"))
        network: Network = MODEL.load(model.name)(model, info)
        if isinstance(module, config.NoModule):
            return network
        for index, position in enumerate(module.positions):
            if position not in network.channels:
                raise ValueError(f"{position!r} is no position of {model.name}; allowed: {', '.join(network.channels)}")
            network.insert(position, MODULE.load(module.name)(module, index, network.channels[position], info.classes))
    return network
