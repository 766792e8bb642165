"""Feature Scattering (Zhang & Wang, NeurIPS 2019): perturbs a batch jointly, without labels."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables import config
from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.building_blocks.joint_objective import paired_objective
from trainables.attacks.training.batch import Adversarial, Batch


def cosine_cost(one: Tensor, other: Tensor) -> Tensor:
    """Compute 1 - cos of every pair of rows of (B, classes) and (B', classes): (B, B'), in [0, 2]."""
    return 1 - F.normalize(one, dim=1) @ F.normalize(other, dim=1).T


@torch.no_grad()
def sinkhorn(cost: Tensor, *, regularisation: float, iterations: int) -> Tensor:
    """Compute the plan T >= 0 (B, B') that minimises <T, cost> - regularisation H(T) with uniform marginals (Cuturi, 2013).

    Logarithms keep it finite at any regularisation. The number of iterations is fixed, so that the host never waits for the
    device. Column sums are exact, row sums up to convergence. The plan has no gradient.
    """
    rows, columns = cost.shape
    kernel = -cost / regularisation
    u, v = cost.new_zeros(rows, 1), cost.new_zeros(1, columns)
    for _ in range(iterations):
        u = -math.log(rows) - (kernel + v).logsumexp(1, keepdim=True)
        v = -math.log(columns) - (kernel + u).logsumexp(0, keepdim=True)
    return (kernel + u + v).exp()


def transport(regularisation: float, iterations: int, clean: Tensor, logits: Tensor) -> Tensor:
    """Compute each image's share (B,) of the transport cost from the clean to the perturbed batch's logits, (B, classes).

    The shares sum to the optimal transport distance D of eq. 6 and 7 with the cosine cost. T is constant in the gradient, which
    is still that of D, since D is stationary in T at the optimum. For a batch of one, T is 1.
    """
    cost = cosine_cost(clean, logits)
    return (sinkhorn(cost, regularisation=regularisation, iterations=iterations) * cost).sum(0)


def attack(spec: config.FeatureScattering, b: Batch) -> Adversarial:
    """Take one step of size eps that raises the batch's transport distance to the clean batch."""
    term = partial(transport, spec.regularisation, spec.sinkhorn)
    objective = paired_objective(b.weights, term, clean_outputs(b.model, b.x))
    return b.ascend(objective, eps=spec.eps, step=spec.eps, iterations=1)
