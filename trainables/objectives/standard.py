"""Training on natural examples."""

from torch import Tensor

from trainables.config import Standard
from trainables.joint import Weights, joint
from trainables.models import Network
from trainables.objectives.loss import Loss, cross_entropy


def standard(spec: Standard, model: Network, x: Tensor, x_adv: Tensor, y: Tensor, weights: Weights) -> Loss:
    """Compute the cross-entropy on natural images ``x``; ``x_adv`` is not used."""
    outputs = model(x, y)
    return Loss(joint(weights, lambda logits: cross_entropy(logits, y, spec.label_smoothing), outputs), outputs)
