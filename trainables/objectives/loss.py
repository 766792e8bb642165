"""What every objective returns, and the terms that several of them share."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from trainables import config
from trainables.config.terms.registry import MODULE
from trainables.outputs import Outputs


class Loss(NamedTuple):
    """Of each example.

    ``value``: what is minimised, (B,). ``outputs``: on the examples trained on, the adversarial ones if there are any.
    """

    value: Tensor
    outputs: Outputs


def with_regulariser(module: config.Module, result: Loss, y: Tensor) -> Loss:
    """The same with the inserted module's own loss of the outputs added, if it has one."""
    if isinstance(module, config.NoModule):
        return result
    own = MODULE.load(module.name).regulariser(module, result.outputs, y)
    return result if own is None else Loss(result.value + own, result.outputs)


def cross_entropy(logits: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy (B,) of logits (B, classes) with labels (B,), or with distributions over the classes, (B, classes).

    ``label_smoothing``: in [0, 0.5], what the true class gives to the others together. torch shares out among all classes, the
    true one included, so the same labels have a larger number there.
    """
    classes = logits.shape[1]
    return F.cross_entropy(logits, y, reduction="none", label_smoothing=label_smoothing * classes / (classes - 1))


def divergence(logits: Tensor, logits_adv: Tensor) -> Tensor:
    """KL(p || p'), (B,), of the predictions on natural and on adversarial images; both logits (B, classes) have gradients."""
    log_p, log_p_adv = logits.log_softmax(1), logits_adv.log_softmax(1)
    return F.kl_div(log_p_adv, log_p, reduction="none", log_target=True).sum(1)


def squared_distance(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared difference, (B,), over everything but the first dimension."""
    return (one - other).square().flatten(1).mean(1)
