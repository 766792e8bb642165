"""MART (Wang et al., ICLR 2020, eq. 7-9)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.config import MART
from trainables.joint import Weights, joint
from trainables.models import Network
from trainables.objectives.loss import Loss, divergence

#: In place of 1, so that the logarithm stays finite where one wrong class has all probability; from the authors' code.
MARGIN = 1.0001


def mart(spec: MART, model: Network, x: Tensor, x_adv: Tensor, y: Tensor, weights: Weights) -> Loss:
    """Compute BCE(p(x'), y) + lambda KL(p(x) || p(x')) (1 - p_y(x)), weighted over all heads (CAS Table 7).

    Each head's divergence is weighted by the head's 1 - p_y(x), which has a gradient as in the authors' code. (CAS's public
    code uses the final head's for all, unlike its Table 7.) Natural and adversarial images take separate forward passes.
    """
    clean, adv = model(x, y), model(x_adv, y)

    def term(z: Tensor, z_adv: Tensor) -> Tensor:
        wrong = 1 - z.softmax(1).gather(1, y[:, None])[:, 0]
        return boosted_cross_entropy(z_adv, y) + spec.lam * divergence(z, z_adv) * wrong

    return Loss(joint(weights, term, clean, adv), adv)


def boosted_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Compute BCE, (B,): -log p_y - log(1 - max_{k != y} p_k) (eq. 7), with 1.0001 in place of 1."""
    wrong = logits.softmax(1).scatter(1, y[:, None], -torch.inf).amax(1)
    return F.cross_entropy(logits, y, reduction="none") - (MARGIN - wrong).log()
