"""Projected gradient ascent (Madry et al., ICLR 2018)."""

from typing import Literal

import torch
from torch import Generator, Tensor, nn

from trainables.attacks.ball import BALLS, Start
from trainables.attacks.gradient import BatchNorm, Objective, frozen, input_gradient


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step: float,
    iterations: int,
    objective: Objective,
    generator: Generator,
    start: Start = "uniform",
    norm: Literal["linf", "l2"] = "linf",
    bn: BatchNorm = "eval",
    restarts: int = 1,
) -> Tensor:
    """Images (B, channels, size, size) in [0, 1], at most ``eps`` from x in ``norm``: in every pixel, or in length.

    Of several restarts each example keeps an end point that is misclassified, where there is one, and among equals the one
    with the highest objective. Misclassification comes first because it is what is counted, and an objective on other heads
    or with a bounded margin may be high without it.

    Args:
        model: returns :class:`~trainables.outputs.Outputs`; called without labels, in evaluation mode but for ``bn``.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change, of a pixel in [0, 1] or of all in Euclidean length.
        step: change in one iteration, before it is brought back into the ball.
        iterations: gradient steps; the last point is returned, not the best.
        objective: what is maximised.
        generator: of random starts, on x's device.
        start: a ``uniform`` point of the ball, x itself (``zero``), or x and 0.001 times normal noise (``gaussian``).
        norm: of the ball and of the steepest ascent: the gradient's sign, or the gradient at length 1.
        bn: batch norms' statistics: the running ones, or those of the attacked batch, which are not recorded.
        restarts: independent starts.
    """
    ball = BALLS[norm](x, eps)

    def ascend() -> Tensor:
        x_adv = ball.start(start, generator)
        for _ in range(iterations):
            x_adv = ball.step(x_adv, input_gradient(model, x_adv, y, objective), step)
        return x_adv

    def harm(x_adv: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            outputs = model(x_adv)
            return outputs.logits.argmax(1) != y, objective(outputs, y)

    with frozen(model, bn):
        best = ascend()
        if restarts > 1:
            is_adv, value = harm(best)
        for _ in range(restarts - 1):
            other = ascend()
            other_is_adv, other_value = harm(other)
            better = (other_is_adv & ~is_adv) | ((other_is_adv == is_adv) & (other_value > value))
            best = torch.where(better[:, None, None, None], other, best)
            is_adv, value = is_adv | other_is_adv, torch.where(better, other_value, value)
    return best
