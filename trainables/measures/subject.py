"""The subject of a measure: a network, and the images that it is measured on."""

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


class AttackedBatch(NamedTuple):
    """Images ``x`` (B, channels, size, size) in [0, 1], labels ``y`` (B,), and the images ``x_adv`` of each attack, as x."""

    x: Tensor
    y: Tensor
    x_adv: tuple[Tensor, ...]


@dataclass(frozen=True)
class Subject:
    """A trained network in evaluation mode, and labelled images.

    ``weights``: takes an attack and returns the heads' weights in the loss that it maximises. ``seed``: the trial's seed.
    ``batch_size``: of forward passes.
    """

    network: Network
    examples: Examples
    weights: Callable[[config.Attack], Weights]
    seed: int
    batch_size: int = BATCH

    def at(self, indices: Tensor) -> "Subject":
        """Return the same network with the examples at ``indices`` alone, int64 (M,) in host memory."""
        return replace(self, examples=self.examples[indices])

    def batches(self, *attacks: config.Attack) -> Iterator[AttackedBatch]:
        """Yield every example once, in order, with its image under each attack.

        Each attack has its own generator, seeded as in an evaluation with the first attack, so several attacks start at the
        same points. On the whole test set and a deterministic network, the images of the first attack are those whose ranks its
        complete evaluation records.
        """
        stream = config.evaluation_stream(attacks[0]) if attacks else ""
        for i, (x, y) in enumerate(evaluation_batches(self.examples, self.batch_size)):
            batch_generators = [generator(self.seed, f"{stream}/{i}", self.examples.device) for _ in attacks]
            yield AttackedBatch(x, y, tuple(self._attacked(a, x, y, g) for a, g in zip(attacks, batch_generators, strict=True)))

    def _attacked(self, attack: config.Attack, x: Tensor, y: Tensor, batch_generator: Generator) -> Tensor:
        before = self.network.draw_from(batch_generator)
        try:
            return run_attack(attack, self.network, x, y, self.weights(attack), batch_generator).images
        finally:
            self.network.draw_from(before)

    def features(self, x: Tensor) -> Tensor:
        """Compute E(x): the pooled features (B, d) that enter the final linear layer."""
        with torch.no_grad():
            outputs: Outputs = self.network(x)
        return outputs.features


def array(batches: list[Tensor]) -> Floats:
    """Concatenate the results of batches, each (B, ...), to one float64 array (N, ...) in host memory."""
    found: Floats = torch.cat(batches).double().cpu().numpy()
    return found
