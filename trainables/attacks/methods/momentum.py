"""The momentum iterative method (Dong et al., CVPR 2018), and diverse inputs (Xie et al., CVPR 2019)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from trainables.attacks.building_blocks.ascent import ascend
from trainables.attacks.building_blocks.ball import Ball, Linf, Start
from trainables.attacks.building_blocks.gradient import ONCE, Expectation, Objective, frozen
from trainables.attacks.building_blocks.watch import Watch


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


def diverse(generator: Generator, *, probability: float, smallest: float) -> Callable[[Tensor], Tensor]:
    """Images (B, channels, size, size) to the same, each with ``probability`` shrunk and put somewhere on black.

    One size for a batch, uniform from ``smallest`` times the images' own (rounded down, at most one pixel less than it) on;
    the nearest pixels are taken. The paper enlarges 299 to 331 pixels; here the network sees its own size of image.
    """

    def look(x: Tensor) -> Tensor:
        size = x.shape[-1]
        draw = torch.rand(3, generator=generator, device=x.device).tolist()
        chosen = torch.rand(len(x), generator=generator, device=x.device) < probability
        lowest = min(int(smallest * size), size - 1)
        small = max(1, lowest + int(draw[0] * (size - lowest)))
        top, left = (int(u * (size - small + 1)) for u in draw[1:])
        shrunk = F.interpolate(x, size=(small, small), mode="nearest")
        padded = F.pad(shrunk, (left, size - small - left, top, size - small - top))
        return torch.where(chosen[:, None, None, None], padded, x)

    return look


def nearby(generator: Generator, *, radius: float) -> Callable[[Tensor], Tensor]:
    """Images in [0, 1] to uniform points at most ``radius`` from them in every pixel, in [0, 1]."""

    def look(x: Tensor) -> Tensor:
        u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return (x + radius * (2 * u - 1)).clamp(0, 1)

    return look
