"""What an attack of a training is given and gives back."""

from typing import Any, NamedTuple

from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.gradient import Objective, clean_outputs
from trainables.attacks.building_blocks.joint_objective import joint_objective, kl_divergence, paired_objective
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.methods.pgd import pgd
from trainables.joint import Weights


class Adversarial(NamedTuple):
    """What to train on.

    ``images``: (B, channels, size, size) in [0, 1]. ``targets``: distributions over the classes, (B, classes), in place of
    the labels; None where the labels stay.
    """

    images: Tensor
    targets: Tensor | None = None


class Batch(NamedTuple):
    """What every attack is given; ``epoch`` is counted from 1."""

    model: nn.Module
    x: Tensor
    y: Tensor
    weights: Weights
    generator: Generator
    epoch: int

    def ascend(self, objective: Objective, **settings: Any) -> Adversarial:
        return Adversarial(pgd(self.model, self.x, self.y, objective=objective, generator=self.generator, **settings))

    def objective(self, loss: str, bn: config.BatchNorm = "eval") -> Objective:
        """``ce`` or ``kl`` over the heads; the clean prediction of the latter is made here, once."""
        if loss == "ce":
            return joint_objective(self.weights, cross_entropy)
        return paired_objective(self.weights, kl_divergence, clean_outputs(self.model, self.x, bn))
