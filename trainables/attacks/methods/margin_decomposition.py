"""The margin decomposition attack (Jiang, Ma et al., "Imbalanced Gradients", 2020)."""

import math
from functools import partial

from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.ball import Linf
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import ONCE, Expectation, frozen, slope
from trainables.attacks.building_blocks.harm import Harm, most_harmful
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.losses import best_other, margin, minus_true
from trainables.attacks.building_blocks.surrogate import Judge, own_judge
from trainables.attacks.building_blocks.watch import Watch
from trainables.attacks.case import Case
from trainables.joint import Weights


def md(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    iterations: int,
    first: int,
    weights: Weights,
    generator: Generator,
    restarts: int = 1,
    over: Expectation = ONCE,
    judge: Judge = own_judge,
    watch: Watch | None = None,
) -> Tensor:
    """Images (B, channels, size, size) in [0, 1], at most ``eps`` from x in every pixel: the most harmful seen.

    Where one of the margin's terms has a much larger gradient than the other, the margin's leads nowhere. So it is one term
    alone for the first steps, -z_y or the best other logit, and the margin from there on. Steps go from 2 eps to 0 along a
    cosine, in each of the two stages.

    Args:
        model: returns :class:`~trainables.outputs.Outputs`; called without labels, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change of a pixel, in [0, 1].
        iterations: K, gradient steps of each start.
        first: K', those on one term.
        weights: of the heads, in every term.
        generator: of the uniform starts, on x's device.
        restarts: times that it is done, each from two starts, one for each term.
        over: what each gradient is the mean of.
        judge: of what is misclassified.
        watch: learns which examples are broken, in any view, for every point is judged.
    """
    ball = Linf(x, eps)
    whole = joint_objective(weights, margin)
    with frozen(model):
        worst: Harm | None = None
        for term in (minus_true, best_other) * restarts:
            alone = joint_objective(weights, term)
            x_adv, labels, around = ball.start("uniform", generator), y, ball
            if watch and watch.leave:
                x_adv, labels, around = x_adv[watch.left], y[watch.left], ball.of(watch.left)
            for k in range(iterations + 1):
                if not len(x_adv):
                    break
                outputs, _, gradient = slope(model, x_adv, labels, alone if k < first else whole, over)
                if not (watch and watch.leave):
                    harm = Harm(x_adv, judge(x_adv, outputs, y), whole(outputs, y).detach())
                    worst = most_harmful(worst, harm) if worst else harm
                stay = watch.look(x_adv, outputs, k) if watch else None
                if stay is not None:
                    x_adv, gradient, labels, around = x_adv[stay], gradient[stay], labels[stay], around.of(stay)
                if k < iterations:
                    done = k / first if k < first else (k - first) / (iterations - first)
                    x_adv = around.step(x_adv, gradient, eps * (1 + math.cos(math.pi * done)))
            images = watch.end(x_adv, iterations) if watch else x_adv
    return worst.images if worst else images


def attack(spec: config.MD, c: Case) -> Attacked:
    """Run MD as a specification says."""
    attack = partial(
        md,
        c.model,
        c.x,
        c.y,
        eps=spec.eps,
        iterations=spec.iterations,
        first=spec.first,
        weights=c.weights,
        generator=c.generator,
        restarts=spec.restarts,
        over=Expectation(spec.eot),
        judge=c.judge,
    )
    return c.watched(attack)
