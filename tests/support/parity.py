"""Weights and numbers of tests against the authors' codes: the same weights in both, and few numbers of many."""

from collections.abc import Iterable

import torch
from torch import Tensor


def fill(parameters: Iterable[Tensor], seed: int) -> None:
    """Fill weights from torch's generator, in their order: matrices at He's scale, vectors about 1."""
    generator = torch.Generator().manual_seed(seed)
    for p in parameters:
        d = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        p.data.copy_(d * (2 / p[0].numel()) ** 0.5 if p.dim() > 1 else 1 + 0.1 * d)


def summary(tensors: Iterable[Tensor]) -> tuple[float, float]:
    """Return the length of all numbers together, and a sum of them with different weights."""
    every = torch.cat([t.detach().flatten() for t in tensors])
    return every.norm().item(), (every * torch.cos(torch.arange(len(every), dtype=torch.float64))).sum().item()
