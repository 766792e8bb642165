"""What an attack maximises on one prediction: a value for each example, so that no example's gradient depends on another."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """-log p_y, (B,), in nats; from logits (B, classes) and labels (B,)."""
    return F.cross_entropy(logits, y, reduction="none")


def cw_margin(confidence: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The Carlini & Wagner margin, (B,): -max(z_y - max_{i != y} z_i + confidence, 0), at most 0.

    Flat, without a gradient, once the true class is ``confidence`` below another (Carlini & Wagner, S&P 2017, f_6).
    """

    def margin(logits: Tensor, y: Tensor) -> Tensor:
        z_y = logits.gather(1, y[:, None])[:, 0]
        z_other = logits.scatter(1, y[:, None], -torch.inf).amax(1)
        return -(z_y - z_other + confidence).clamp(min=0)

    return margin
