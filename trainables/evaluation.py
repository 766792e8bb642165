"""One attack on one network: where the true label ends up, example by example."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables import config
from trainables.attacks import run_attack
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


def ranks(
    network: Network, examples: Examples, attack: config.Attack, weights: Weights, seed: int, stream: str
) -> tuple[NDArray[np.uint16], ...]:
    """The ranks of every example's true label under ``attack``, (N,) for each head of the network.

    ``weights``: of the heads in what the attack maximises. ``stream``: names the generator of ``seed`` that the attack and the
    network's modules draw from. The network is evaluated in evaluation mode and left as it was.
    """
    chance = generator(seed, stream, examples.labels.device)
    batches = []
    training, before = network.training, network.draw_from(chance)
    network.eval()
    try:
        for x, y in evaluation_batches(examples, BATCH):
            x_adv = run_attack(attack, network, x, y, weights, chance).images
            with torch.no_grad():
                batches.append(torch.stack([rank(logits, y) for logits in heads(network(x_adv))]))
    finally:
        network.train(training)
        network.draw_from(before)
    return tuple(torch.cat(batches, dim=1).cpu().numpy().astype(np.uint16))
