"""TRADES (Zhang et al., ICML 2019, eq. 5)."""

from torch import Tensor

from trainables.config import TRADES
from trainables.joint import Weights, joint
from trainables.models import Network
from trainables.objectives.loss import Loss, cross_entropy, divergence


def trades(spec: TRADES, model: Network, x: Tensor, x_adv: Tensor, y: Tensor, weights: Weights) -> Loss:
    """CE(p(x), y) + lambda KL(p(x) || p(x')), both terms over all heads by weight (CAS Table 7).

    Two forward passes, natural images first as in the authors' code, so that batch norms see each kind of images by itself
    and average both. The natural predictions serve both terms, and have gradients in both.
    """
    clean, adv = model(x, y), model(x_adv, y)

    def term(z: Tensor, z_adv: Tensor) -> Tensor:
        return cross_entropy(z, y) + spec.lam * divergence(z, z_adv)

    return Loss(joint(weights, term, clean, adv), adv)
