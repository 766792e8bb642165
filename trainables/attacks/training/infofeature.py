"""The InfoFeature attack (Yan & Yeung, "Improving Adversarial Training with Informative Feature-based Attack")."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables import config
from trainables.attacks.building_blocks.gradient import Objective, clean_outputs
from trainables.attacks.training.batch import Adversarial, Batch
from trainables.outputs import Outputs


def cam(maps: Tensor, weight: Tensor, y: Tensor) -> Tensor:
    """Compute the positive class activation maps of the classes ``y`` (B,), (B, H, W): sum_k max(w_yk A_k, 0), eq. 6.

    ``maps``: A, (B, C, H, W), the features before pooling. ``weight``: w, (classes, C), weights of the last linear layer. The
    paper does not say which class it uses; here it is the true class, as in the cross-entropy.
    """
    w = weight.detach()[y][:, :, None, None]
    return (w * maps).clamp(min=0).sum(1)


def _l2(one: Tensor, other: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm((one - other).flatten(1), dim=1)  # torch's gradient at 0 is 0
    return length


def _l1(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().flatten(1).sum(1)


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(one.flatten(1), other.flatten(1), dim=1)


#: Distances (B,) between maps (B, H, W). The paper uses L2 without saying whether it sums or averages; a norm sums.
DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l2": _l2, "l1": _l1, "cosine": _cosine}


def infofeature(base: Objective, clean: Outputs, weight: Tensor, y: Tensor, *, lam: float, distance: str) -> Objective:
    """Return the objective ``base`` + lam D(CAM(x), CAM(x + d)), eq. 7; ``base`` itself with lam = 0.

    No distance has a gradient at d = 0, so the ascent needs a random start.

    Args:
        base: the objective L_PGD.
        clean: the outputs at x.
        weight: weights of the network's last linear layer, (classes, C).
        y: labels (B,).
        lam: the weight of the distance.
        distance: one of ``DISTANCES``.
    """
    if lam == 0:
        return base
    reference = cam(clean.maps, weight, y)

    def objective(outputs: Outputs, y: Tensor) -> Tensor:
        return base(outputs, y) + lam * DISTANCES[distance](reference, cam(outputs.maps, weight, y))

    return objective


def attack(spec: config.InfoFeature, b: Batch) -> Adversarial:
    """Run PGD on the cross-entropy plus the change of the class activation map."""
    fc = b.model.get_submodule("fc").get_parameter("weight")
    clean = clean_outputs(b.model, b.x, spec.bn)
    objective = infofeature(b.objective("ce"), clean, fc, b.y, lam=spec.lam, distance=spec.distance)
    return b.ascend(objective, eps=spec.eps, step=spec.step, iterations=spec.iterations, bn=spec.bn)
