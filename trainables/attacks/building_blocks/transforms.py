"""Random transforms of images, over which attacks average gradients."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def diverse(generator: Generator, *, probability: float, smallest: float) -> Callable[[Tensor], Tensor]:
    """Return a transform that shrinks each image with ``probability`` and places it at random on black, at the same shape.

    The size is drawn once for a batch, uniformly from ``smallest`` times the images' size (rounded down, at most one pixel less
    than it) upwards, with nearest-neighbour interpolation. The paper enlarges 299 to 331 pixels; here the size is kept.
    """

    def transform(x: Tensor) -> Tensor:
        size = x.shape[-1]
        draw = torch.rand(3, generator=generator, device=x.device).tolist()
        chosen = torch.rand(len(x), generator=generator, device=x.device) < probability
        lowest = min(int(smallest * size), size - 1)
        small = max(1, lowest + int(draw[0] * (size - lowest)))
        top, left = (int(u * (size - small + 1)) for u in draw[1:])
        shrunk = F.interpolate(x, size=(small, small), mode="nearest")
        padded = F.pad(shrunk, (left, size - small - left, top, size - small - top))
        return torch.where(chosen[:, None, None, None], padded, x)

    return transform


def nearby(generator: Generator, *, radius: float) -> Callable[[Tensor], Tensor]:
    """Return a transform of images in [0, 1] to uniform points within ``radius`` of them in every pixel, cut to [0, 1]."""

    def transform(x: Tensor) -> Tensor:
        u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return (x + radius * (2 * u - 1)).clamp(0, 1)

    return transform
