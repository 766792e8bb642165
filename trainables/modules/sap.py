"""Stochastic Activation Pruning (Dhillon et al., ICLR 2018, section 3)."""

import torch
from torch import Tensor

from trainables.config import SAP
from trainables.modules.inserted import InsertedModule, Insertion


class SAPModule(InsertedModule):
    """Draw activations r times with replacement, with probability p = |h| / sum |h|, and prune those never drawn.

    The others are divided by the probability of being drawn at least once, 1 - (1 - p)^r, so that the expectation is h (eq. 3
    and Algorithm 1). Training and evaluation prune alike. The factor of h is treated as a constant in the gradient, whose
    expectation is then that of the identity.
    """

    def __init__(self, spec: SAP, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.ratio = spec.ratio
        self.averaged = spec.averaged

    @property
    def draws(self) -> bool:
        """Whether a forward pass is stochastic: in every view except ``soft``, which computes the expectation."""
        return self.view != "soft"

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        """Prune features (B, C, H, W); r is ``ratio`` C H W, rounded, and at least 1."""
        if self.view == "soft":
            return Insertion(z, None)  # the expectation
        with torch.no_grad():
            scale = self.scale(z.flatten(1))
        return Insertion(z * scale.view_as(z).to(z.dtype), None)

    def scale(self, h: Tensor) -> Tensor:
        """Return the factors (B, N) of activations h (B, N): 0 if pruned, else 1 / (1 - (1 - p)^r)."""
        B, N = h.shape
        r = max(1, round(self.ratio * N))
        u = self.uniform(B, r, like=h)
        size = h.abs().to(u.dtype)
        # A uniform point of [0, sum |h|) falls on activation i with probability p_i. It is clamped because rounding may place
        # it at the end of the interval, as it always is where all activations are 0.
        ends = size.cumsum(1)
        drawn = torch.searchsorted(ends, u * ends[:, -1:], right=True).clamp(max=N - 1)
        kept = torch.zeros_like(size).scatter(1, drawn, 1)
        p = size / ends[:, -1:]
        probability = -torch.expm1(r * torch.log1p(-p))  # 1 - (1 - p)^r without loss of precision for small p
        return torch.where(size > 0, kept / probability, 0)
