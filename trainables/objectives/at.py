"""Adversarial training (Madry et al., ICLR 2018)."""

from torch import Tensor

from trainables.config import AT
from trainables.joint import Weights, joint
from trainables.models import Network
from trainables.objectives.loss import Loss, cross_entropy


def at(spec: AT, model: Network, x: Tensor, x_adv: Tensor, y: Tensor, weights: Weights, targets: Tensor | None = None) -> Loss:
    """Compute the cross-entropy on ``x_adv``: the outer minimisation of eq. 2.1, over all heads (CAS eq. 5, CIFS eq. 3-4).

    ``targets``: distributions over the classes, (B, classes), with which an attack replaces the labels ``y``.
    """
    outputs = model(x_adv, y)
    learnt = y if targets is None else targets
    return Loss(joint(weights, lambda logits: cross_entropy(logits, learnt, spec.label_smoothing), outputs), outputs)
