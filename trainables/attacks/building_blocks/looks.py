"""Random ways to look at images, of which a gradient is the mean."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


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
