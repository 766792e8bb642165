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
        z_other = best_other(logits, y)
        return -(z_y - z_other + confidence).clamp(min=0)

    return margin


def best_other(logits: Tensor, y: Tensor) -> Tensor:
    """max_{i != y} z_i, (B,), from logits (B, classes) and labels (B,)."""
    return logits.scatter(1, y[:, None], -torch.inf).amax(1)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """max_{i != y} z_i - z_y, (B,): at least 0 where the prediction is wrong."""
    return best_other(logits, y) + minus_true(logits, y)


def minus_true(logits: Tensor, y: Tensor) -> Tensor:
    """-z_y, (B,): the second term of the margin."""
    return -logits.gather(1, y[:, None])[:, 0]


#: In the denominators of :func:`dlr` and :func:`targeted_dlr`, as in the authors' code.
TINY = 1e-12


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """The difference of logits ratio (Croce & Hein, ICML 2020, eq. 6), (B,): the margin over z_pi1 - z_pi3.

    pi orders the logits (B, classes), the highest first; there must be three classes. Neither a shift nor a scale of the logits
    changes it.
    """
    ordered = logits.topk(3, dim=1).values
    return margin(logits, y) / (ordered[:, 0] - ordered[:, 2] + TINY)


def targeted_dlr(target: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """DLR towards the classes ``target`` (B,) (eq. 7), (B,): z_t - z_y over z_pi1 - (z_pi3 + z_pi4) / 2.

    There must be four classes.
    """

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        ordered = logits.topk(4, dim=1).values
        towards = logits.gather(1, target[:, None])[:, 0] + minus_true(logits, y)
        return towards / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2 + TINY)

    return loss
