"""The input and the output of training attacks."""

from typing import Any, NamedTuple

from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.gradient import Objective, clean_outputs
from trainables.attacks.building_blocks.joint_objective import joint_objective, kl_divergence, paired_objective
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.methods.pgd import pgd
from trainables.joint import Weights


class Adversarial(NamedTuple):
    """The output of a training attack.

    ``images``: (B, channels, size, size) in [0, 1]. ``targets``: distributions over the classes, (B, classes), that replace the
    labels; None to keep the labels.
    """

    images: Tensor
    targets: Tensor | None = None


class Batch(NamedTuple):
    """The input of every training attack: a network and a batch of B examples.

    Attributes:
        model: the network in training.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        weights: weights of the heads in the loss to maximise.
        generator: the only source of random numbers, on x's device.
        epoch: counted from 1.
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    weights: Weights
    generator: Generator
    epoch: int

    def ascend(self, objective: Objective, **settings: Any) -> Adversarial:
        """Run PGD on ``objective``; ``settings``: those of :func:`trainables.attacks.methods.pgd.pgd`."""
        return Adversarial(pgd(self.model, self.x, self.y, objective=objective, generator=self.generator, **settings))

    def objective(self, loss: str, bn: config.BatchNorm = "eval") -> Objective:
        """Return ``ce`` or ``kl`` over the heads; for ``kl`` the clean prediction is computed once, here."""
        if loss == "ce":
            return joint_objective(self.weights, cross_entropy)
        return paired_objective(self.weights, kl_divergence, clean_outputs(self.model, self.x, bn))
