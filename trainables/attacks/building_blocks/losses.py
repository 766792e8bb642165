"""Losses of one prediction that attacks maximise; each example has a separate value, so no gradient depends on another."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Compute -log p_y, (B,) in nats, from logits (B, classes) and labels (B,)."""
    return F.cross_entropy(logits, y, reduction="none")


def cw_margin(confidence: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the Carlini & Wagner loss, (B,): -max(z_y - max_{i != y} z_i + confidence, 0), at most 0.

    It is constant once the true class is ``confidence`` below another (Carlini & Wagner, S&P 2017, f_6).
    """

    def margin(logits: Tensor, y: Tensor) -> Tensor:
        z_y = logits.gather(1, y[:, None])[:, 0]
        z_other = best_other(logits, y)
        return -(z_y - z_other + confidence).clamp(min=0)

    return margin


def best_other(logits: Tensor, y: Tensor) -> Tensor:
    """Compute max_{i != y} z_i, (B,), from logits (B, classes) and labels (B,)."""
    return logits.scatter(1, y[:, None], -torch.inf).amax(1)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Compute the margin max_{i != y} z_i - z_y, (B,): at least 0 where the prediction is wrong."""
    return best_other(logits, y) + minus_true(logits, y)


def minus_true(logits: Tensor, y: Tensor) -> Tensor:
    """Compute -z_y, (B,), the second term of the margin."""
    return -logits.gather(1, y[:, None])[:, 0]


#: Added to the denominators of :func:`dlr` and :func:`targeted_dlr`, as in the authors' code.
TINY = 1e-12


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """Compute the difference of logits ratio (Croce & Hein, ICML 2020, eq. 6), (B,): the margin over z_pi1 - z_pi3.

    pi sorts the logits (B, classes) in descending order; at least three classes are needed. The ratio is invariant to
    shifts and scales of the logits.
    """
    ordered = logits.topk(3, dim=1).values
    return margin(logits, y) / (ordered[:, 0] - ordered[:, 2] + TINY)


def targeted_dlr(target: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the DLR loss towards the classes ``target`` (B,) (eq. 7), (B,): z_t - z_y over z_pi1 - (z_pi3 + z_pi4) / 2.

    At least four classes are needed.
    """

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        ordered = logits.topk(4, dim=1).values
        towards = logits.gather(1, target[:, None])[:, 0] + minus_true(logits, y)
        return towards / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2 + TINY)

    return loss
