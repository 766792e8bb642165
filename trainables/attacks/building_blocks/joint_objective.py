"""Objectives of attacks that are weighted sums over all heads of a network."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from trainables.attacks.building_blocks.gradient import Objective
from trainables.joint import Weights, joint
from trainables.outputs import Outputs


def joint_objective(weights: Weights, term: Callable[[Tensor, Tensor], Tensor]) -> Objective:
    """Return the weighted sum over the heads of ``term``, which maps logits (B, classes) and labels (B,) to (B,)."""

    def objective(outputs: Outputs, y: Tensor) -> Tensor:
        return joint(weights, lambda logits: term(logits, y), outputs)

    return objective


def paired_objective(weights: Weights, term: Callable[[Tensor, Tensor], Tensor], clean: Outputs) -> Objective:
    """Return the weighted sum over the heads of ``term(clean logits, logits)``, both (B, classes), which returns (B,).

    ``clean``: the network's outputs at the clean images, the same in every step.
    """

    def objective(outputs: Outputs, y: Tensor) -> Tensor:
        return joint(weights, term, clean, outputs)

    return objective


def kl_divergence(clean: Tensor, logits: Tensor) -> Tensor:
    """Compute KL(p || q), (B,) in nats, of p = softmax(clean) and q = softmax(logits), both (B, classes).

    TRADES' attack maximises it (Zhang et al., ICML 2019, eq. 5 and algorithm 1). At the clean images it is 0 with a gradient of
    0, so an attack must not start there.
    """
    return F.kl_div(F.log_softmax(logits, 1), F.log_softmax(clean, 1), reduction="none", log_target=True).sum(1)
