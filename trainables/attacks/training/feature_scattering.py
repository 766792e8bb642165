"""Feature Scattering (Zhang & Wang, NeurIPS 2019): no labels, and images of a batch that are moved together."""

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
    """1 - cos of every pair of rows of (B, classes) and (B', classes): (B, B'), in [0, 2]."""
    return 1 - F.normalize(one, dim=1) @ F.normalize(other, dim=1).T


@torch.no_grad()
def sinkhorn(cost: Tensor, *, regularisation: float, iterations: int) -> Tensor:
    """The plan T >= 0 (B, B') that minimises <T, cost> - regularisation H(T), with uniform marginals (Cuturi, NeurIPS 2013).

    Logarithms keep it finite at any regularisation. A fixed number of iterations asks the device for no value; the columns'
    sums are exact, the rows' as far as it has converged. The plan has no gradient.
    """
    rows, columns = cost.shape
    kernel = -cost / regularisation
    u, v = cost.new_zeros(rows, 1), cost.new_zeros(1, columns)
    for _ in range(iterations):
        u = -math.log(rows) - (kernel + v).logsumexp(1, keepdim=True)
        v = -math.log(columns) - (kernel + u).logsumexp(0, keepdim=True)
    return (kernel + u + v).exp()


def transport(regularisation: float, iterations: int, clean: Tensor, logits: Tensor) -> Tensor:
    """What it costs to move the clean batch's logits to the perturbed one's, both (B, classes): each image's share, (B,).

    The shares' sum is the optimal transport distance D of eq. 6 and 7 with the cosine cost. T is held fixed in the gradient,
    which is that of D: at the optimum a change of T does not count. Of a batch of one, T is 1.
    """
    cost = cosine_cost(clean, logits)
    return (sinkhorn(cost, regularisation=regularisation, iterations=iterations) * cost).sum(0)


def attack(spec: config.FeatureScattering, b: Batch) -> Adversarial:
    """Take one step of size eps that moves the batch away from the clean one."""
    term = partial(transport, spec.regularisation, spec.sinkhorn)
    objective = paired_objective(b.weights, term, clean_outputs(b.model, b.x))
    return b.ascend(objective, eps=spec.eps, step=spec.eps, iterations=1)
