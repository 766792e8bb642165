"""The images that an attack may choose from: near the given ones and in [0, 1]."""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Generator, Tensor

#: Standard deviation of a ``gaussian`` start (TRADES: Zhang et al., ICML 2019, algorithm 1).
GAUSSIAN = 0.001

Start = Literal["uniform", "zero", "gaussian"]


class Ball(ABC):
    """A ball of radius ``eps`` around each of the images ``x`` (B, channels, size, size), cut to [0, 1]."""

    def __init__(self, x: Tensor, eps: float) -> None:
        self.x = x.detach()
        self.eps = eps

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


BALLS: dict[str, type[Ball]] = {"linf": Linf, "l2": L2}


def _normal(x: Tensor, generator: Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


def _length(change: Tensor) -> Tensor:
    """(B, 1, 1, 1), above 0 to divide by: no change has the direction 0."""
    length: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
    return length.clamp(min=torch.finfo(length.dtype).tiny)
