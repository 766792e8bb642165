"""The loop that attacks by gradient steps share."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from trainables.attacks.building_blocks.ball import Ball
from trainables.attacks.building_blocks.gradient import ONCE, Expectation, Objective, slope
from trainables.attacks.building_blocks.watch import Watch

#: From a ball, a point in it, the gradient there and the attack's memory to the next point and memory, all shaped as images.
Move = Callable[[Ball, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def ascend(
    model: nn.Module,
    start: Tensor,
    y: Tensor,
    ball: Ball,
    move: Move,
    *,
    iterations: int,
    objective: Objective,
    over: Expectation = ONCE,
    watch: Watch | None = None,
) -> Tensor:
    """Where steps from ``start`` end, (B, channels, size, size); where the watch lets an example go, what broke it.

    To be called inside :func:`~trainables.attacks.building_blocks.gradient.frozen`.

    Args:
        model: what is differentiated.
        start: images (B, channels, size, size), of all examples, so that what is drawn depends on no outcome.
        y: labels (B,).
        ball: around the images that are attacked.
        move: one step. The memory is 0 at first.
        iterations: gradient steps.
        objective: what is maximised.
        over: what each gradient is the mean of.
        watch: told of every point; None where nobody asks.
    """
    x_adv = start
    if watch and len(watch.left) < len(start):
        x_adv, y, ball = start[watch.left], y[watch.left], ball.of(watch.left)
        if over.look:
            over = over._replace(look=partial(_as_one_of_all, over.look, watch.left, len(start)))
    memory = torch.zeros_like(x_adv)
    for k in range(iterations):
        if not len(x_adv):
            break
        outputs, _, gradient = slope(model, x_adv, y, objective, over)
        stay = watch.see(x_adv, outputs, k) if watch else None
        if stay is not None:
            x_adv, gradient, memory, y, ball = x_adv[stay], gradient[stay], memory[stay], y[stay], ball.of(stay)
        x_adv, memory = move(ball, x_adv, gradient, memory)
    return watch.end(x_adv, iterations) if watch else x_adv


def _as_one_of_all(look: Callable[[Tensor], Tensor], places: Tensor, n: int, x: Tensor) -> Tensor:
    """How images at some places among n look: what is drawn is drawn for all, so that each sees what it would among them."""
    return look(x.new_zeros((n, *x.shape[1:])).index_copy(0, places, x))[places]
