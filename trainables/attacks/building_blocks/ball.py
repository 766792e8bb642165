"""Balls around images, cut to [0, 1]: the images that an attack may return."""

import math
from abc import ABC, abstractmethod
from typing import Literal, Self

import torch
from torch import Generator, Tensor

from trainables.config import Norm

#: Standard deviation of a ``gaussian`` start (TRADES: Zhang et al., ICML 2019, algorithm 1).
GAUSSIAN = 0.001

#: The share of an image's pixels that a step in L1 changes (Tramer & Boneh, NeurIPS 2019, section 4: q = 99%).
SPARSITY = 0.01

Start = Literal["uniform", "zero", "gaussian"]


def length(change: Tensor, norm: Norm) -> Tensor:
    """Compute the norm (B,) of each image's perturbation ``change`` (B, channels, size, size)."""
    order = {"linf": math.inf, "l2": 2, "l1": 1}[norm]
    found: Tensor = torch.linalg.vector_norm(change.flatten(1), order, dim=1)
    return found


class Ball(ABC):
    """Balls of radius ``eps`` around the images ``x`` (B, channels, size, size), cut to [0, 1]."""

    def __init__(self, x: Tensor, eps: float) -> None:
        self.x = x.detach()
        self.eps = eps

    def of(self, places: Tensor) -> Self:
        """Return the balls around the images at ``places``, int64 (M,)."""
        return type(self)(self.x[places], self.eps)

    def start(self, kind: Start, generator: Generator, *, outside: bool = False) -> Tensor:
        """Return start points: ``uniform`` in the ball, x (``zero``), or x plus normal noise (``gaussian``).

        ``outside``: whether pixels of a random start may be outside [0, 1]; they are inside after a step.
        """
        match kind:
            case "zero":
                return self.x
            case "uniform":
                start = self._uniform(generator)
            case "gaussian":
                start = self.x + GAUSSIAN * _normal(self.x, generator)
        return start if outside else self.project(start)

    def step(self, x_adv: Tensor, gradient: Tensor, size: float | Tensor) -> Tensor:
        """Move ``x_adv`` by a length of ``size`` in the direction of steepest ascent in this norm, and project on the ball."""
        return self.project(x_adv + size * self._steepest(gradient))

    @abstractmethod
    def project(self, x_adv: Tensor) -> Tensor:
        """Project images on the ball and [0, 1]."""

    @abstractmethod
    def _uniform(self, generator: Generator) -> Tensor:
        """Return uniform points of the ball, before they are cut to [0, 1]."""

    @abstractmethod
    def _steepest(self, gradient: Tensor) -> Tensor:
        """Return the directions of length 1 in which the objective rises most."""


class Linf(Ball):
    """Linf ball: at most ``eps`` from x in every pixel."""

    def __init__(self, x: Tensor, eps: float) -> None:
        super().__init__(x, eps)
        self._lower, self._upper = (self.x - eps).clamp(0, 1), (self.x + eps).clamp(0, 1)

    def project(self, x_adv: Tensor) -> Tensor:
        return x_adv.clamp(self._lower, self._upper)

    def _uniform(self, generator: Generator) -> Tensor:
        u = torch.rand(self.x.shape, generator=generator, device=self.x.device, dtype=self.x.dtype)
        return self.x + self.eps * (2 * u - 1)

    def _steepest(self, gradient: Tensor) -> Tensor:
        return gradient.sign()


class L2(Ball):
    """L2 ball: at most ``eps`` from x in the Euclidean length over all pixels of an image."""

    def project(self, x_adv: Tensor) -> Tensor:
        change = x_adv - self.x
        inside = change * (self.eps / _length(change)).clamp(max=1)
        return (self.x + inside).clamp(0, 1)  # each pixel moves towards x, so the image stays in the ball

    def _uniform(self, generator: Generator) -> Tensor:
        u = torch.rand((len(self.x), 1, 1, 1), generator=generator, device=self.x.device, dtype=self.x.dtype)
        radius = self.eps * u ** (1 / math.prod(self.x.shape[1:]))
        return self.x + radius * self._steepest(_normal(self.x, generator))

    def _steepest(self, gradient: Tensor) -> Tensor:
        return gradient / _length(gradient)


class L1(Ball):
    """L1 ball: at most ``eps`` from x in the sum of absolute changes over all pixels of an image.

    The steepest ascent would change a single pixel. Instead, as in SLIDE (Tramer & Boneh, NeurIPS 2019), a step changes the 1%
    of the pixels with the largest gradients by equal amounts, and skips pixels at 0 or 1 that would leave [0, 1].
    """

    def step(self, x_adv: Tensor, gradient: Tensor, size: float | Tensor) -> Tensor:
        stays = ((x_adv <= 0) & (gradient < 0)) | ((x_adv >= 1) & (gradient > 0))
        return super().step(x_adv, gradient.masked_fill(stays, 0), size)

    def project(self, x_adv: Tensor) -> Tensor:
        """Project images on the intersection of the L1 ball and [0, 1].

        Each pixel's change c becomes min(max(|c| - theta, 0), room) in absolute value, with the theta at which the sum is eps.
        The sum falls piecewise linearly in theta: a pixel contributes below theta = |c| and is constant below |c| - room.
        """
        change = (x_adv - self.x).flatten(1)
        x = self.x.flatten(1)
        sizes, room = change.abs(), torch.where(change > 0, 1 - x, x)
        bends, order = torch.cat((sizes, sizes - room), 1).sort(dim=1, descending=True)
        growing = torch.where(order < sizes.shape[1], 1, -1).cumsum(1)  # number of growing pixels between a bend and the next
        sums = (growing[:, :-1] * (bends[:, :-1] - bends[:, 1:])).cumsum(1)  # the sum at every bend except the first
        at = (sums < self.eps).sum(1, keepdim=True).clamp(max=sums.shape[1] - 1)
        over = sums.gather(1, at) - self.eps
        theta = bends.gather(1, at + 1) + over / growing.gather(1, at).clamp(min=1)
        inside = torch.minimum((sizes - theta.clamp(min=0)).clamp(min=0), room)
        return (self.x + (change.sign() * inside).view_as(self.x)).clamp(0, 1)

    def _uniform(self, generator: Generator) -> Tensor:
        shape = (len(self.x), math.prod(self.x.shape[1:]) + 1)
        u, sign = (torch.rand(shape, generator=generator, device=self.x.device, dtype=self.x.dtype) for _ in range(2))
        e = -torch.log1p(-u)  # exponential variables, divided by their sum, are uniform on the simplex
        change = (e / e.sum(1, keepdim=True) * (2 * (sign < 0.5) - 1))[:, :-1]
        return self.x + self.eps * change.view_as(self.x)

    def _steepest(self, gradient: Tensor) -> Tensor:
        flat = gradient.flatten(1)
        k = max(1, round(SPARSITY * flat.shape[1]))
        top = flat.abs().topk(k, dim=1).indices
        sign = torch.zeros_like(flat).scatter(1, top, flat.gather(1, top).sign())
        return (sign / sign.abs().sum(1, keepdim=True).clamp(min=1)).view_as(gradient)


BALLS: dict[str, type[Ball]] = {"linf": Linf, "l2": L2, "l1": L1}


def _normal(x: Tensor, generator: Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


def _length(change: Tensor) -> Tensor:
    """Compute L2 norms (B, 1, 1, 1), clamped above 0, so that a change of 0 divided by its length is 0."""
    length: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
    return length.clamp(min=torch.finfo(length.dtype).tiny)
