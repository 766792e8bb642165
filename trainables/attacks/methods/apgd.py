"""Auto-PGD (Croce & Hein, ICML 2020, section 3 and algorithm 1)."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.ball import BALLS
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import ONCE, Expectation, Objective, frozen, slope
from trainables.attacks.building_blocks.harm import Keep, keeper
from trainables.attacks.building_blocks.losses import cross_entropy, dlr, margin, targeted_dlr
from trainables.attacks.building_blocks.surrogate import predict
from trainables.attacks.case import Case

#: The share alpha of a step that is the gradient's, the rest being momentum.
ALPHA = 0.75

#: The share rho of steps that must have succeeded for a step size to stay.
RHO = 0.75


def checkpoints(iterations: int) -> list[int]:
    """Return the iterations w_j = ceil(p_j N) at which step sizes may be halved, from w_0 = 0 on.

    p_0 = 0, p_1 = 0.22, p_(j+1) = p_j + max(p_j - p_(j-1) - 0.03, 0.06). In hundredths, which are whole numbers.
    """
    p = [0, 22]
    while (following := p[-1] + max(p[-1] - p[-2] - 3, 6)) <= 100:
        p.append(following)
    return sorted({-(-hundredths * iterations // 100) for hundredths in p})


class StepSizes:
    """Each example's step size, halved at checkpoints where its search is stuck.

    Attributes:
        eta: the step sizes (B, 1, 1, 1).
        rises: steps since the last checkpoint that raised the objective, (B,).
    """

    def __init__(self, eta: Tensor, value: Tensor, iterations: int) -> None:
        self.eta = self._eta_then = eta
        self.rises = torch.zeros(len(eta), device=eta.device)
        self._value_then = value
        self._window = checkpoints(iterations)

    def halve(self, k: int, value_best: Tensor) -> Tensor | None:
        """After k steps: which examples are stuck (B,), whose step size is half of what it was; None between checkpoints.

        Stuck is where fewer than rho of the steps since the last checkpoint raised the objective, and where neither the step
        size nor the best value (B,) has changed since then.
        """
        if k not in self._window:
            return None
        length = k - self._window[self._window.index(k) - 1]
        eta, same = self.eta, (self.eta == self._eta_then)[:, 0, 0, 0]
        stuck = (self.rises < RHO * length) | (same & (value_best == self._value_then))
        self._eta_then, self._value_then, self.rises = eta, value_best, torch.zeros_like(self.rises)
        self.eta = _choose(stuck, eta / 2, eta)
        return stuck


def _choose(where: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """For each example one of two (B, channels, size, size), by ``where`` (B,)."""
    return torch.where(where[:, None, None, None], one, other)


def apgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    iterations: int,
    objective: Objective,
    generator: Generator,
    norm: Literal["linf", "l2"] = "linf",
    over: Expectation = ONCE,
    keep: Keep | None = None,
) -> Tensor:
    """Images (B, channels, size, size) in [0, 1], at most ``eps`` from x in ``norm``: the best seen, not the last.

    Each example has its own step size, first 2 eps. Where it is halved (:class:`StepSizes`), the search goes on from the best
    point.

    Args:
        model: returns :class:`~trainables.outputs.Outputs`; called without labels, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change, of a pixel in [0, 1] or of all.
        iterations: gradient steps.
        objective: what is maximised.
        generator: of the uniform start, on x's device.
        norm: of the ball and of the steepest ascent.
        over: what each gradient, and each value, is the mean of.
        keep: what the most harmful point is. With it, a misclassified point is the best wherever there was one: what an
            evaluation counts. The search itself goes by the objective alone, with and without.
    """
    ball = BALLS[norm](x, eps)
    with frozen(model):
        x_adv = x_before = x_best = ball.start("uniform", generator)
        outputs, value, gradient = slope(model, x_adv, y, objective, over)
        worst = keep(None, x_adv, outputs, value) if keep else None
        value_best, gradient_best = value, gradient
        sizes = StepSizes(torch.full((len(x), 1, 1, 1), 2 * eps, device=x.device, dtype=x.dtype), value, iterations)
        for k in range(1, iterations + 1):
            z = ball.step(x_adv, gradient, sizes.eta)
            momentum = ALPHA * (z - x_adv) + (1 - ALPHA) * (x_adv - x_before) if k > 1 else z - x_adv
            x_before, x_adv = x_adv, ball.project(x_adv + momentum)
            outputs, value_now, gradient = slope(model, x_adv, y, objective, over)
            if keep:
                worst = keep(worst, x_adv, outputs, value_now)
            sizes.rises += value_now > value
            value = value_now

            better = value > value_best
            x_best, gradient_best = _choose(better, x_adv, x_best), _choose(better, gradient, gradient_best)
            value_best = torch.where(better, value, value_best)

            stuck = sizes.halve(k, value_best)
            if stuck is not None:
                x_adv, gradient = _choose(stuck, x_best, x_adv), _choose(stuck, gradient_best, gradient)
                value = torch.where(stuck, value_best, value)
    return worst.images if worst else x_best


def attack(spec: config.AutoPGD, c: Case) -> Attacked:
    """Run APGD as a specification says, every restart and every target on what those before it left right."""

    def run(rank: int, x: Tensor, y: Tensor) -> Tensor:
        term: Callable[[Tensor, Tensor], Tensor] = {"ce": cross_entropy, "margin": margin}.get(spec.loss, dlr)
        if spec.loss == "targeted-dlr":
            wrong = predict(c.network, x).scatter(1, y[:, None], -torch.inf)
            term = targeted_dlr(wrong.topk(rank + 1, dim=1).indices[:, rank])
        return apgd(
            c.model,
            x,
            y,
            eps=spec.eps,
            iterations=spec.iterations,
            objective=c.objective(term),
            generator=c.generator,
            norm=spec.norm,
            over=Expectation(spec.eot),
            keep=keeper(c.network, c.model, y),
        )

    classes = predict(c.network, c.x[:1], 1).shape[1]
    ranks = range(min(spec.targets, classes - 1) if spec.loss == "targeted-dlr" else 1)
    return c.one_by_one([partial(run, rank) for rank in ranks for _ in range(spec.restarts)])
