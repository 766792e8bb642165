"""The momentum iterative method (Dong et al., CVPR 2018), and diverse inputs (Xie et al., CVPR 2019)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.ascent import ascend
from trainables.attacks.building_blocks.ball import Ball, Linf, Start
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import ONCE, Expectation, Objective, frozen
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.building_blocks.transforms import diverse
from trainables.attacks.building_blocks.watch import Watch
from trainables.attacks.case import Case


def mim(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step: float,
    iterations: int,
    decay: float,
    objective: Objective,
    generator: Generator,
    start: Start = "zero",
    over: Expectation = ONCE,
    watch: Watch | None = None,
) -> Tensor:
    """Images (B, channels, size, size) in [0, 1], at most ``eps`` from x in every pixel: algorithm 1 of the paper.

    g <- decay g + gradient / ||gradient||_1, and a step along the sign of g. The division is by the mean instead of the sum,
    which is the same direction and does not underflow.

    Args:
        model: returns :class:`~trainables.outputs.Outputs`; called without labels, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change of a pixel, in [0, 1].
        step: change of a pixel in one iteration.
        iterations: gradient steps; the last point is returned.
        decay: mu; with 0 this is PGD.
        objective: what is maximised.
        generator: of a random start, on x's device.
        start: x itself (``zero``), or a ``uniform`` point of the ball.
        over: what each gradient is the mean of.
        watch: learns which examples are broken on the way.
    """
    ball = Linf(x, eps)

    def move(ball: Ball, x_adv: Tensor, gradient: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)
        g = decay * g + gradient / size
        return ball.step(x_adv, g, step), g

    with frozen(model):
        x_adv = ball.start(start, generator)
        return ascend(model, x_adv, y, ball, move, iterations=iterations, objective=objective, over=over, watch=watch)


def attack(spec: config.MIM, c: Case) -> Attacked:
    """Run MIM on the cross-entropy as a specification says."""
    return _run(spec, c, None)


def diverse_inputs(spec: config.DIFGSM, c: Case) -> Attacked:
    """Run MIM on gradients at diverse inputs as a specification says."""
    return _run(spec, c, diverse(c.generator, probability=spec.probability, smallest=spec.smallest))


def _run(spec: config.MIM | config.DIFGSM, c: Case, transform: Callable[[Tensor], Tensor] | None) -> Attacked:
    attack = partial(
        mim,
        c.model,
        c.x,
        c.y,
        eps=spec.eps,
        step=spec.step,
        iterations=spec.iterations,
        decay=spec.decay,
        objective=c.objective(cross_entropy),
        generator=c.generator,
        start=spec.start,
        over=Expectation(spec.eot, transform),
    )
    return c.watched(attack, transformed=transform is not None, first=spec.start != "zero")
