"""What an attack maximises over all heads of a network, by their weights."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from trainables.attacks.building_blocks.gradient import Objective
from trainables.joint import Weights, joint
from trainables.outputs import Outputs


def joint_objective(weights: Weights, term: Callable[[Tensor, Tensor], Tensor]) -> Objective:
    """The weighted sum over the heads of ``term``, which maps logits (B, classes) and labels (B,) to (B,)."""

    def objective(outputs: Outputs, y: Tensor) -> Tensor:
        return joint(weights, lambda logits: term(logits, y), outputs)

    return objective


def paired_objective(weights: Weights, term: Callable[[Tensor, Tensor], Tensor], clean: Outputs) -> Objective:
    """The weighted sum over the heads of ``term(clean, logits)`` of each head's logits (B, classes), to (B,).

    ``clean``: what the network says of the clean images, the same for every step.
    """

    def objective(outputs: Outputs, y: Tensor) -> Tensor:
        return joint(weights, term, clean, outputs)

    return objective


def kl_divergence(clean: Tensor, logits: Tensor) -> Tensor:
    """KL(p || q) of the predictions p = softmax(clean) and q = softmax(logits), both (B, classes), in nats: (B,).

    What TRADES' attack maximises (Zhang et al., ICML 2019, eq. 5 and algorithm 1). It is 0 at the clean images with a
    gradient of 0, so an attack that starts there never leaves.
    """
    return F.kl_div(F.log_softmax(logits, 1), F.log_softmax(clean, 1), reduction="none", log_target=True).sum(1)
