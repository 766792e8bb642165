"""The network that is measured, and the images that it is measured on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from trainables import config
from trainables.attacks import run_attack
from trainables.data import Examples, evaluation_batches
from trainables.evaluation import BATCH
from trainables.joint import Weights
from trainables.models import Network
from trainables.outputs import Outputs
from trainables.rng import generator

Array = NDArray[Any]
Floats = NDArray[np.float64]


class Batch(NamedTuple):
    """Images ``x`` (B, channels, size, size) in [0, 1], labels ``y`` (B,), and what each attack made of x."""

    x: Tensor
    y: Tensor
    x_adv: tuple[Tensor, ...]


@dataclass(frozen=True)
class Subject:
    """A trained network in evaluation mode, and labelled images.

    ``weights``: of the network's heads in what an attack maximises. ``seed``: the trial's. ``batch_size``: of a forward pass.
    """

    network: Network
    examples: Examples
    weights: Callable[[config.Attack], Weights]
    seed: int
    batch_size: int = BATCH

    def at(self, indices: Tensor) -> "Subject":
        """The same network on the examples at ``indices`` alone, int64 (M,) in host memory."""
        return replace(self, examples=self.examples[indices])

    def batches(self, *attacks: config.Attack) -> Iterator[Batch]:
        """Every example once, in order, as it is and under each attack.

        Each attack draws from a generator of its own, which starts as in an evaluation with the first one. So several attacks
        start from the same points; and, on the whole test set with a network that draws nothing itself, the first one's images
        are those that its complete evaluation has the ranks of.
        """
        stream = config.evaluation_stream(attacks[0]) if attacks else ""
        for i, (x, y) in enumerate(evaluation_batches(self.examples, self.batch_size)):
            chances = [generator(self.seed, f"{stream}/{i}", self.examples.device) for _ in attacks]
            yield Batch(x, y, tuple(self._attacked(a, x, y, chance) for a, chance in zip(attacks, chances, strict=True)))

    def _attacked(self, attack: config.Attack, x: Tensor, y: Tensor, chance: Generator) -> Tensor:
        before = self.network.draw_from(chance)
        try:
            return run_attack(attack, self.network, x, y, self.weights(attack), chance).images
        finally:
            self.network.draw_from(before)

    def features(self, x: Tensor) -> Tensor:
        """E(x): the pooled features (B, d) that the final linear layer sees."""
        with torch.no_grad():
            outputs: Outputs = self.network(x)
        return outputs.features


def array(batches: list[Tensor]) -> Floats:
    """What was found batch by batch, each (B, ...), as one array (N, ...) in host memory."""
    found: Floats = torch.cat(batches).double().cpu().numpy()
    return found
