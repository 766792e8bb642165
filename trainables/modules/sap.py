"""Stochastic Activation Pruning (Dhillon et al., ICLR 2018, section 3)."""

import torch
from torch import Tensor

from trainables.config import SAP
from trainables.modules.inserted import InsertedModule, Insertion


class SAPModule(InsertedModule):
    """Draws activations with probability p = |h| / sum |h|, r times with replacement; those never drawn are pruned.

    The others are divided by the probability of being drawn at all, 1 - (1 - p)^r, so that the expectation is h (eq. 3 and
    Algorithm 1). Training and evaluation prune alike. What h is multiplied by is a constant for the gradient, which then
    has the identity's for its expectation.
    """

    def __init__(self, spec: SAP, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.ratio = spec.ratio

    @property
    def draws(self) -> bool:
        """In every view but that of the expectation."""
        return self.view != "soft"

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        """Features (B, C, H, W) to pruned ones; r is ``ratio`` C H W, rounded, and at least 1."""
        if self.view == "soft":
            return Insertion(z, None)  # the expectation
        with torch.no_grad():
            scale = self.scale(z.flatten(1))
        return Insertion(z * scale.view_as(z).to(z.dtype), None)

    def scale(self, h: Tensor) -> Tensor:
        """What activations h (B, N) are multiplied by: 0 if pruned, else 1 / (1 - (1 - p)^r); (B, N)."""
        B, N = h.shape
        r = max(1, round(self.ratio * N))
        u = self.uniform(B, r, like=h)
        size = h.abs().to(u.dtype)
        # A uniform point of [0, sum |h|) falls on activation i with probability p_i. The clamp: rounding may put it at the
        # very end, and where all are 0 there is nothing else.
        ends = size.cumsum(1)
        drawn = torch.searchsorted(ends, u * ends[:, -1:], right=True).clamp(max=N - 1)
        kept = torch.zeros_like(size).scatter(1, drawn, 1)
        p = size / ends[:, -1:]
        probability = -torch.expm1(r * torch.log1p(-p))  # 1 - (1 - p)^r, of which nothing is lost for a small p
        return torch.where(size > 0, kept / probability, 0)
