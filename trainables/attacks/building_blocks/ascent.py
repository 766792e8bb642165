"""The loop shared by all attacks that take gradient steps."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from trainables.attacks.building_blocks.ball import Ball
from trainables.attacks.building_blocks.gradient import ONCE, Expectation, Objective, slope
from trainables.attacks.building_blocks.watch import Watch

#: A step: takes a ball, a point in it, the gradient there and the attack's memory; returns the next point and memory.
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
    """Take steps from ``start`` and return the end points, (B, channels, size, size).

    Where the watch stops the attack on a broken example, the image that broke it is returned. Call it inside
    :func:`~trainables.attacks.building_blocks.gradient.frozen`.

    Args:
        model: what is differentiated.
        start: images (B, channels, size, size) of all examples, so that random numbers do not depend on which are broken.
        y: labels (B,).
        ball: around the attacked images.
        move: one step; the memory, shaped as images, is 0 at first.
        iterations: number of gradient steps.
        objective: what is maximised.
        over: what each gradient is averaged over.
        watch: records at every point which examples are broken; None to record nothing.
    """
    x_adv = start
    if watch and len(watch.left) < len(start):
        x_adv, y, ball = start[watch.left], y[watch.left], ball.of(watch.left)
    memory = torch.zeros_like(x_adv)
    for k in range(iterations):
        if not len(x_adv):
            break
        outputs, _, gradient = slope(model, x_adv, y, objective, _of(over, watch, len(start)))
        stay = watch.look(x_adv, outputs, k) if watch else None
        if stay is not None:
            x_adv, gradient, memory, y, ball = x_adv[stay], gradient[stay], memory[stay], y[stay], ball.of(stay)
        x_adv, memory = move(ball, x_adv, gradient, memory)
    return watch.end(x_adv, iterations) if watch else x_adv


def _of(over: Expectation, watch: Watch | None, n: int) -> Expectation:
    """Return the expectation of the examples that are left of a batch of n."""
    if watch is None or over.transform is None or len(watch.left) == n:
        return over
    return over._replace(transform=partial(_transform_some, over.transform, watch.left, n))


def _transform_some(transform: Callable[[Tensor], Tensor], places: Tensor, n: int, x: Tensor) -> Tensor:
    """Transform the images at ``places`` of a batch of n, with the random numbers that they get in the whole batch."""
    return transform(x.new_zeros((n, *x.shape[1:])).index_copy(0, places, x))[places]
