"""TRADES (Zhang et al., ICML 2019, eq. 5)."""

import torch
from torch import Tensor

from trainables.config import TRADES
from trainables.joint import Weights, joint
from trainables.models import Network
from trainables.objectives.loss import Loss, cross_entropy, divergence


def trades(spec: TRADES, model: Network, x: Tensor, x_adv: Tensor, y: Tensor, weights: Weights) -> Loss:
    """Compute CE(p(x), y) + lambda KL(p(x) || p(x')), both terms weighted over all heads (CAS Table 7).

    Natural and then adversarial images take separate forward passes, as in the authors' code, so that batch norms normalise
    them separately. The natural predictions get gradients from both terms. The authors' code passes the natural images a second
    time, for the divergence; without dropout its predictions and gradients are those of the first pass, so that the second
    is taken without gradients here, for the running batch statistics that it changes.
    """
    clean, adv = model(x, y), model(x_adv, y)
    if spec.clean_passes == 2:
        with torch.no_grad():
            model(x, y)

    def term(z: Tensor, z_adv: Tensor) -> Tensor:
        return cross_entropy(z, y) + spec.lam * divergence(z, z_adv)

    return Loss(joint(weights, term, clean, adv), adv)
