"""Projected gradient ascent (Madry et al., ICLR 2018)."""

from functools import partial, reduce
from typing import Any

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.ascent import Move, ascend
from trainables.attacks.building_blocks.ball import BALLS, Ball, Start
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import ONCE, BatchNorm, Expectation, Objective, frozen
from trainables.attacks.building_blocks.harm import Harm, most_harmful
from trainables.attacks.building_blocks.losses import cross_entropy, cw_margin, margin
from trainables.attacks.building_blocks.surrogate import Judge, own_judge
from trainables.attacks.building_blocks.transforms import nearby
from trainables.attacks.building_blocks.watch import Watch
from trainables.attacks.case import Case
from trainables.config import Norm


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
    outside: bool = False,
    norm: Norm = "linf",
    bn: BatchNorm = "eval",
    restarts: int = 1,
    over: Expectation = ONCE,
    judge: Judge = own_judge,
    watch: Watch | None = None,
) -> Tensor:
    """Images (B, channels, size, size) in [0, 1], at most ``eps`` from x in ``norm``: in every pixel, in length, or in sum.

    Of several restarts each example keeps the most harmful end point; see :mod:`trainables.attacks.building_blocks.harm`.

    Args:
        model: returns :class:`~trainables.outputs.Outputs`; called without labels, in evaluation mode but for ``bn``.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change, of a pixel in [0, 1] or of all.
        step: change in one iteration, before it is brought back into the ball.
        iterations: gradient steps; the last point is returned, not the best.
        objective: what is maximised.
        generator: of random starts, on x's device.
        start: a ``uniform`` point of the ball, x itself (``zero``), or x and 0.001 times normal noise (``gaussian``).
        outside: whether a start may leave [0, 1], as in some training attacks; an evaluation must not judge such an image.
        norm: of the ball and of the steepest ascent; see :mod:`trainables.attacks.building_blocks.ball`.
        bn: batch norms' statistics: the running ones, or those of the attacked batch, which are not recorded.
        restarts: independent starts.
        over: what each gradient is the mean of.
        judge: of what is misclassified.
        watch: learns which examples are broken on the way. Where it lets them go, of several restarts the last end point is
            left of the others, for there is no more to be counted.
    """
    ball, move = BALLS[norm](x, eps), _steps(step)

    def end() -> Tensor:
        x_adv = ball.start(start, generator, outside=outside)
        return ascend(model, x_adv, y, ball, move, iterations=iterations, objective=objective, over=over, watch=watch)

    def harm(x_adv: Tensor) -> Harm:
        with torch.no_grad():
            outputs = model(x_adv)
            return Harm(x_adv, judge(x_adv, outputs, y), objective(outputs, y))

    with frozen(model, bn):
        ends = (end() for _ in range(restarts))
        if restarts == 1 or (watch and watch.leave):
            return [*ends][-1]
        return reduce(most_harmful, map(harm, ends)).images


def _steps(length: float) -> Move:
    """Return steps of one length, which need no memory."""

    def move(ball: Ball, x_adv: Tensor, gradient: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        return ball.step(x_adv, gradient, length), memory

    return move


def attack(spec: config.PGD, c: Case) -> Attacked:
    """Run PGD on the cross-entropy as a specification says."""
    return _ascend(spec, c, objective=c.objective(cross_entropy), over=Expectation(spec.eot))


def cw(spec: config.CW, c: Case) -> Attacked:
    """Run PGD on the Carlini & Wagner margin as a specification says."""
    objective = c.objective(cw_margin(spec.confidence))
    return _ascend(spec, c, objective=objective, over=Expectation(spec.eot))


def average(spec: config.AvgPGD, c: Case) -> Attacked:
    """Run PGD on the margin, each gradient a mean of several, as a specification says."""
    transform = nearby(c.generator, radius=spec.radius * spec.eps) if spec.radius else None
    over = Expectation(spec.samples, transform)
    return _ascend(spec, c, transform is not None, objective=c.objective(margin), over=over)


def _ascend(spec: config.PGD | config.CW | config.AvgPGD, c: Case, transformed: bool = False, **settings: Any) -> Attacked:
    attack = partial(
        pgd,
        c.model,
        c.x,
        c.y,
        eps=spec.eps,
        step=spec.step,
        iterations=spec.iterations,
        generator=c.generator,
        start=spec.start,
        norm=spec.norm,
        restarts=spec.restarts,
        judge=c.judge,
        **settings,
    )
    return c.watched(attack, transformed=transformed, first=spec.start != "zero")
