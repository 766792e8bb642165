"""Adversarial Logit Pairing (Kannan et al., 2018, section 4.1)."""

from torch import Tensor

from trainables.config import ALP
from trainables.joint import Weights, joint
from trainables.models import Network
from trainables.objectives.loss import Loss, cross_entropy, squared_distance
from trainables.outputs import Outputs


def alp(spec: ALP, model: Network, x: Tensor, x_adv: Tensor, y: Tensor, weights: Weights) -> Loss:
    """Compute (CE(x) + CE(x')) / 2 + w MSE(z, z'), weighted over all heads.

    Natural and adversarial images take separate forward passes, so that batch norms normalise them separately.
    """
    clean, adv = model(x, y), model(x_adv, y)
    return Loss(pairing(spec.weight, clean, adv, y, weights), adv)


def pairing(weight: float, clean: Outputs, adv: Outputs, y: Tensor, weights: Weights) -> Tensor:
    """Return the loss (B,) of the outputs on natural and adversarial images; the MSE is a mean over the classes."""

    def term(z: Tensor, z_adv: Tensor) -> Tensor:
        return (cross_entropy(z, y) + cross_entropy(z_adv, y)) / 2 + weight * squared_distance(z, z_adv)

    return joint(weights, term, clean, adv)
