"""The fast gradient sign method (Goodfellow et al., ICLR 2015)."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.ascent import ascend
from trainables.attacks.building_blocks.ball import Ball, Linf
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import ONCE, Expectation, Objective, frozen
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.building_blocks.watch import Watch
from trainables.attacks.case import Case


def fgsm(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    objective: Objective,
    over: Expectation = ONCE,
    watch: Watch | None = None,
) -> Tensor:
    """One step of size ``eps`` from x along the sign of the gradient, clipped to [0, 1]; nothing is drawn.

    Args:
        model: returns :class:`~trainables.outputs.Outputs`; called without labels, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change of a pixel, in [0, 1].
        objective: what is maximised.
        over: what the gradient is the mean of.
        watch: learns which examples are broken.
    """

    def move(ball: Ball, x_adv: Tensor, gradient: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        return ball.step(x_adv, gradient, eps), memory

    ball = Linf(x, eps)
    with frozen(model):
        return ascend(model, ball.x, y, ball, move, iterations=1, objective=objective, over=over, watch=watch)


def attack(spec: config.FGSM, c: Case) -> Attacked:
    """Run FGSM on the cross-entropy as a specification says."""
    settings: dict[str, Any] = {"eps": spec.eps, "objective": c.objective(cross_entropy), "over": Expectation(spec.eot)}
    return c.watched(partial(fgsm, c.model, c.x, c.y, **settings), first=False)
