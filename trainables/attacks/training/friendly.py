"""Early-stopped PGD of Friendly Adversarial Training (Zhang et al., ICML 2020, algorithm 1)."""

from typing import Literal

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.ball import Linf
from trainables.attacks.building_blocks.gradient import Objective, frozen, slope
from trainables.attacks.training.batch import Adversarial, Batch


def friendly(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step: float,
    iterations: int,
    tau: int,
    objective: Objective,
    generator: Generator,
    omega: float = 0.0,
    start: Literal["uniform", "gaussian"] = "uniform",
) -> Tensor:
    """Run early-stopped PGD; return images (B, channels, size, size) in [0, 1], at most ``eps`` from x in every pixel.

    An example takes at most ``tau`` steps from misclassified points: with 0 it ends at the first such point, with
    ``iterations`` or more it is PGD. The paper's public code starts from a ``uniform`` point, or from a ``gaussian`` one with
    TRADES' divergence. Stopped examples stay in every forward pass, since removing them would make the host wait.

    Args:
        model: returns :class:`~trainables.outputs.Outputs`; called without labels, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change of a pixel, in [0, 1].
        step: change of a pixel in one iteration.
        iterations: largest number of gradient steps.
        tau: largest number of steps from points that the final prediction misclassifies.
        objective: what is maximised.
        generator: random generator of the starts and the noise, on x's device.
        omega: standard deviation of normal noise added in each step, before the projection (authors' code).
        start: as in :func:`~trainables.attacks.methods.pgd.pgd`.
    """
    ball = Linf(x, eps)
    left = torch.full_like(y, tau)
    with frozen(model):
        x_adv = ball.start(start, generator)
        for _ in range(iterations):
            outputs, _, gradient = slope(model, x_adv, y, objective)
            left -= (outputs.logits.argmax(1) != y).to(left.dtype)
            goes_on = (left >= 0)[:, None, None, None]
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype) if omega else 0.0
            x_adv = torch.where(goes_on, ball.step(x_adv + omega * noise, gradient, step), x_adv)
    return x_adv


def attack(spec: config.Friendly, b: Batch) -> Adversarial:
    """Run early-stopped PGD with the settings of the specification and the epoch's tau."""
    images = friendly(
        b.model,
        b.x,
        b.y,
        eps=spec.eps,
        step=spec.step,
        iterations=spec.iterations,
        tau=spec.tau(b.epoch),
        objective=b.objective(spec.loss),
        generator=b.generator,
        omega=spec.omega,
        start=spec.start,
    )
    return Adversarial(images)
