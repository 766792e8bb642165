"""The value that every objective returns, and the terms that several objectives share."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from trainables import config
from trainables.config.terms.registry import MODULE
from trainables.outputs import Outputs


class Loss(NamedTuple):
    """The loss of a batch of B examples.

    ``value``: loss of each example, (B,). ``outputs``: the network's outputs on adversarial images, or on natural ones without.
    """

    value: Tensor
    outputs: Outputs


def with_regulariser(module: config.Module, result: Loss, y: Tensor) -> Loss:
    """Add the inserted module's regulariser, where it has one, to the value of ``result``; ``y``: labels (B,)."""
    if isinstance(module, config.NoModule):
        return result
    own = MODULE.load(module.name).regulariser(module, result.outputs, y)
    return result if own is None else Loss(result.value + own, result.outputs)


def cross_entropy(logits: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Compute the cross-entropy (B,) of logits (B, classes) with labels (B,) or distributions over the classes (B, classes).

    ``label_smoothing``: probability moved from the true class to the others, in [0, 0.5]. torch distributes it over all
    classes, the true one included, so its number for the same labels is larger.
    """
    classes = logits.shape[1]
    return F.cross_entropy(logits, y, reduction="none", label_smoothing=label_smoothing * classes / (classes - 1))


def divergence(logits: Tensor, logits_adv: Tensor) -> Tensor:
    """Compute KL(p || p'), (B,), of natural and adversarial predictions from logits (B, classes); both get gradients."""
    log_p, log_p_adv = logits.log_softmax(1), logits_adv.log_softmax(1)
    return F.kl_div(log_p_adv, log_p, reduction="none", log_target=True).sum(1)


def squared_distance(one: Tensor, other: Tensor) -> Tensor:
    """Compute the mean squared difference, (B,), over all dimensions except the first."""
    return (one - other).square().flatten(1).mean(1)
