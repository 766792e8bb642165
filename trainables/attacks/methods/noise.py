"""Uniform noise: what an attacker does who knows nothing."""

from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.ball import BALLS
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import frozen
from trainables.attacks.building_blocks.harm import Harm, most_harmful
from trainables.attacks.building_blocks.losses import margin
from trainables.attacks.building_blocks.surrogate import errs, predict
from trainables.attacks.case import Case
from trainables.config import Norm
from trainables.config.module import AVERAGED


def noise(
    network: nn.Module, x: Tensor, y: Tensor, *, eps: float, norm: Norm, generator: Generator, restarts: int = 1
) -> Tensor:
    """Uniform points (B, channels, size, size) of the ball of radius ``eps`` around x, clipped to [0, 1].

    Of several, each example keeps a misclassified one, where there is one, and among equals that with the largest margin.
    """
    ball = BALLS[norm](x, eps)

    def draw() -> Harm:
        images = ball.start("uniform", generator)
        logits = predict(network, images, AVERAGED)
        return Harm(images, errs(logits, y), margin(logits, y))

    with frozen(network), torch.no_grad():
        if restarts == 1:
            return ball.start("uniform", generator)
        worst = draw()
        for _ in range(restarts - 1):
            worst = most_harmful(worst, draw())
    return worst.images


def attack(spec: config.Noise, c: Case) -> Attacked:
    """Run noise as a specification says."""
    settings: dict[str, Any] = {"eps": spec.eps, "norm": spec.norm, "generator": c.generator, "restarts": spec.restarts}
    return c.blindly(partial(noise, c.network, c.x, c.y, **settings))
