"""Matching of representations, a baseline of AFD (Bashivan et al., section 3.4, Fig. A3)."""

import torch
from torch import Tensor

from trainables.config import L2Matching
from trainables.joint import Weights, joint
from trainables.models import Network
from trainables.objectives.loss import Loss, cross_entropy


def l2_matching(spec: L2Matching, model: Network, x: Tensor, x_adv: Tensor, y: Tensor, weights: Weights) -> Loss:
    """Compute CE(x) over all heads, as AFD does, plus w ||E(x) - E(x')||_2 (not squared) of the pooled features."""
    clean, adv = model(x, y), model(x_adv, y)
    sensitivity = torch.linalg.vector_norm(clean.features - adv.features, dim=1)
    return Loss(joint(weights, lambda z: cross_entropy(z, y), clean) + spec.weight * sensitivity, adv)
