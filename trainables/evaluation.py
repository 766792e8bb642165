"""One attack on one network: where the true label ends up, example by example."""

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables import config
from trainables.attacks import Sources, run_attack
from trainables.data import Examples, evaluation_batches
from trainables.joint import Weights
from trainables.models import Network
from trainables.outputs import heads
from trainables.rng import generator

#: Examples a forward pass of an evaluation.
BATCH = 500


def rank(logits: Tensor, y: Tensor) -> Tensor:
    """How many other classes score at least as high as the true one: int64 (B,); 0 is a right prediction.

    ``logits``: (B, classes); ``y``: (B,). A tie counts against the network, and so does a score that is not a number.
    """
    true = logits.gather(1, y[:, None])
    beaten = (true > logits).sum(1)
    return logits.shape[1] - 1 - beaten


class Found(NamedTuple):
    """What an attack did to every example.

    ``ranks``: of the true label, (N,) for each head of the network. ``distance``: of the nearest misclassified image, (N,), 0
    where the example itself is one and inf where none was found; None but for attacks that look for it. Accuracy at any eps is
    the share of distances above it; at the attack's own it is that of ranks 0, too.
    """

    ranks: tuple[NDArray[np.uint16], ...]
    distance: NDArray[np.float32] | None


def ranks(
    network: Network, examples: Examples, attack: config.Attack, weights: Weights, seed: int, stream: str
) -> tuple[NDArray[np.uint16], ...]:
    """The ranks that :func:`evaluate` finds."""
    return evaluate(network, examples, attack, weights, seed, stream).ranks


def evaluate(
    network: Network,
    examples: Examples,
    attack: config.Attack,
    weights: Weights,
    seed: int,
    stream: str,
    sources: Sources = MappingProxyType({}),
) -> Found:
    """Every example under ``attack``.

    ``weights``: of the heads in what the attack maximises. ``stream``: names the generator of ``seed`` that the attack and the
    network's modules draw from. ``sources``: the networks that a transferred attack may come from; their modules draw from
    there too. All networks are evaluated in evaluation mode and left as they were.
    """
    chance = generator(seed, stream, examples.labels.device)
    batches, distances = [], []
    training, before = network.training, network.draw_from(chance)
    others = [(source.network, source.network.draw_from(chance)) for source in sources.values()]
    network.eval()
    try:
        for x, y in evaluation_batches(examples, BATCH):
            x_adv, distance = run_attack(attack, network, x, y, weights, chance, sources)
            if distance is not None:
                distances.append(distance)
            with torch.no_grad():
                batches.append(torch.stack([rank(logits, y) for logits in heads(network(x_adv))]))
    finally:
        network.train(training)
        network.draw_from(before)
        for other, drew in others:
            other.draw_from(drew)
    found = tuple(torch.cat(batches, dim=1).cpu().numpy().astype(np.uint16))
    return Found(found, torch.cat(distances).cpu().numpy() if distances else None)
