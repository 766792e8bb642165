"""Feature Scattering (Zhang & Wang, NeurIPS 2019, and its public code): perturbs a batch jointly, without labels."""

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


#: What the public code adds to every sum of exponentials.
FLOOR = 1e-6


def sinkhorn(cost: Tensor, *, regularisation: float, iterations: int, tolerance: float) -> Tensor:
    """Compute a plan T >= 0 (B, B') of little <T, cost> - regularisation H(T) with uniform marginals (Cuturi, 2013).

    The updates of the potentials u and v end once u has changed by less than ``tolerance`` in sum, or after ``iterations``.
    With the public code's tolerance of 0.1 that is after a few, before the row sums of T are 1 / B. Logarithms keep T finite at
    any regularisation. The gradient goes through all updates. Later ones are computed and left out, so that the host never
    waits for the device.
    """
    rows, columns = cost.shape
    u, v = cost.new_zeros(rows, 1), cost.new_zeros(1, columns)

    def exponents() -> Tensor:
        return (u + v - cost) / regularisation

    goes_on = torch.ones((), dtype=torch.bool, device=cost.device)
    for _ in range(iterations):
        before = u
        u = u - regularisation * (math.log(rows) + _log_sum(exponents(), 1)) * goes_on
        v = v - regularisation * (math.log(columns) + _log_sum(exponents(), 0)) * goes_on
        goes_on = goes_on & ((u - before).detach().abs().sum() >= tolerance)
    return exponents().exp()


def _log_sum(exponents: Tensor, dim: int) -> Tensor:
    total = exponents.logsumexp(dim, keepdim=True)
    return torch.logaddexp(total, total.new_tensor(math.log(FLOOR)))


def transport(spec: config.FeatureScattering, clean: Tensor, logits: Tensor) -> Tensor:
    """Compute each image's share (B,) of the transport cost from the clean to the perturbed batch's logits, (B, classes).

    The shares sum to <T, cost>, the distance of eq. 6 and 7 with the cosine cost and the plan T of the public code.
    """
    cost = cosine_cost(clean, logits)
    plan = sinkhorn(cost, regularisation=spec.regularisation, iterations=spec.sinkhorn, tolerance=spec.tolerance)
    return (plan * cost).sum(0)


def attack(spec: config.FeatureScattering, b: Batch) -> Adversarial:
    """Take one step of size eps that raises the batch's transport distance to the clean batch.

    The uniform start may be outside [0, 1] until the step, as in the public code. That code also passes each clean batch
    through the network in training mode to print an accuracy, which changes the batch statistics: a slip, not reproduced.
    """
    objective = paired_objective(b.weights, partial(transport, spec), clean_outputs(b.model, b.x))
    return b.ascend(objective, eps=spec.eps, step=spec.eps, iterations=1, outside=True)
