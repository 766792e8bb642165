"""The margin decomposition attack (Jiang, Ma et al., "Imbalanced Gradients", 2020).

What the paper leaves open is as in the authors' code (HanxunH/MDAttack, attacks/MD.py): the start is not cut to [0, 1], the
first step goes up z_y, and steps follow a cosine from 2 eps to 0 in each stage, one step late. There a start outside [0, 1] may
count as adversarial; here it is judged where it is cut.
"""

import math
from functools import partial

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.ball import Linf
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import ONCE, Expectation, clean_outputs, frozen, slope
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
    alone for the first steps, -z_y or the best other logit, and the margin from there on.

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
    whole, up = joint_objective(weights, margin), joint_objective(weights, lambda logits, y: -minus_true(logits, y))
    with frozen(model):
        worst: Harm | None = None
        for term in (minus_true, best_other) * restarts:
            alone = joint_objective(weights, term)
            u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x_adv, labels, around = x + eps * (2 * u - 1), y, ball
            if watch and watch.leave:
                x_adv, labels, around = x_adv[watch.left], y[watch.left], ball.of(watch.left)
            for k in range(iterations + 1):
                if not len(x_adv):
                    break
                outputs, _, gradient = slope(model, x_adv, labels, up if k == 0 else alone if k < first else whole, over)
                cut = around.project(x_adv)
                outputs = outputs if k else clean_outputs(model, cut)
                if not (watch and watch.leave):
                    harm = Harm(cut, judge(cut, outputs, y), whole(outputs, y).detach())
                    worst = most_harmful(worst, harm) if worst else harm
                stay = watch.look(cut, outputs, k) if watch else None
                if stay is not None:
                    x_adv, gradient, labels, around = x_adv[stay], gradient[stay], labels[stay], around.of(stay)
                if k < iterations:
                    x_adv = around.step(x_adv, gradient, _step(k, iterations, first, eps))
            images = watch.end(x_adv, iterations) if watch else x_adv
    return worst.images if worst else images


def _step(k: int, iterations: int, first: int, eps: float) -> float:
    """Return the length of the step after k others, of the cosine in its stage."""
    done = (k - 1 - (first if k > first else 0)) / (iterations - first)
    return eps * (1 + math.cos(math.pi * done))


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
