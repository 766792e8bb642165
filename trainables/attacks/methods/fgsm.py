"""The fast gradient sign method (Goodfellow et al., ICLR 2015)."""

from torch import Tensor, nn

from trainables.attacks.building_blocks.ascent import ascend
from trainables.attacks.building_blocks.ball import Ball, Linf
from trainables.attacks.building_blocks.gradient import ONCE, Expectation, Objective, frozen
from trainables.attacks.building_blocks.watch import Watch


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
