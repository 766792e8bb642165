"""The images that an attack may choose from: near the given ones and in [0, 1]."""

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
    """The norm (B,) of each image's change (B, channels, size, size)."""
    order = {"linf": math.inf, "l2": 2, "l1": 1}[norm]
    found: Tensor = torch.linalg.vector_norm(change.flatten(1), order, dim=1)
    return found


class Ball(ABC):
    """A ball of radius ``eps`` around each of the images ``x`` (B, channels, size, size), cut to [0, 1]."""

    def __init__(self, x: Tensor, eps: float) -> None:
        self.x = x.detach()
        self.eps = eps

    def of(self, places: Tensor) -> Self:
        """The ball around some of the images."""
        return type(self)(self.x[places], self.eps)

    def start(self, kind: Start, generator: Generator) -> Tensor:
        """A ``uniform`` point, x itself (``zero``, which draws nothing), or x and normal noise, brought into the ball."""
        match kind:
            case "zero":
                return self.x
            case "uniform":
                return self.project(self._uniform(generator))
            case "gaussian":
                return self.project(self.x + GAUSSIAN * _normal(self.x, generator))

    def step(self, x_adv: Tensor, gradient: Tensor, size: float | Tensor) -> Tensor:
        """From ``x_adv`` along the steepest ascent of this norm for a length of ``size``, brought into the ball."""
        return self.project(x_adv + size * self._steepest(gradient))

    @abstractmethod
    def project(self, x_adv: Tensor) -> Tensor:
        """Bring images into the ball and [0, 1]."""

    @abstractmethod
    def _uniform(self, generator: Generator) -> Tensor:
        """A uniform point of the ball, in [0, 1] or not."""

    @abstractmethod
    def _steepest(self, gradient: Tensor) -> Tensor:
        """The direction of length 1 with the largest slope."""


class Linf(Ball):
    """At most ``eps`` from x in every pixel."""

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
    """At most ``eps`` from x in the Euclidean length over all pixels of an image."""

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
    """At most ``eps`` from x in the sum over all pixels of an image.

    The steepest ascent would change a single pixel. Here, as in SLIDE (Tramer & Boneh, NeurIPS 2019), a step changes the
    hundredth of the pixels with the largest slopes, all alike, and passes over those that are 0 or 1 already and cannot go on.
    """

    def step(self, x_adv: Tensor, gradient: Tensor, size: float | Tensor) -> Tensor:
        stays = ((x_adv <= 0) & (gradient < 0)) | ((x_adv >= 1) & (gradient > 0))
        return super().step(x_adv, gradient.masked_fill(stays, 0), size)

    def project(self, x_adv: Tensor) -> Tensor:
        """To the nearest point of the L1 ball and [0, 1] at once.

        That is min(max(|c| - theta, 0), room) in each pixel of the change c, whose sum falls piecewise linearly with theta: a
        pixel starts to count below theta = |c|, and no longer grows below |c| - room.
        """
        change = (x_adv - self.x).flatten(1)
        x = self.x.flatten(1)
        sizes, room = change.abs(), torch.where(change > 0, 1 - x, x)
        bends, order = torch.cat((sizes, sizes - room), 1).sort(dim=1, descending=True)
        growing = torch.where(order < sizes.shape[1], 1, -1).cumsum(1)  # pixels, between a bend and the next
        sums = (growing[:, :-1] * (bends[:, :-1] - bends[:, 1:])).cumsum(1)  # at every bend but the first
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
    """(B, 1, 1, 1), above 0 to divide by: no change has the direction 0."""
    length: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
    return length.clamp(min=torch.finfo(length.dtype).tiny)
