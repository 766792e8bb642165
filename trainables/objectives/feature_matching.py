"""Adversarial Feature Matching (Li et al., IEEE Access 2020)."""

import torch.nn.functional as F
from torch import Tensor

from trainables.config import FeatureMatching
from trainables.joint import Weights
from trainables.models import Network
from trainables.objectives.alp import pairing
from trainables.objectives.loss import Loss, squared_distance


def feature_matching(spec: FeatureMatching, model: Network, x: Tensor, x_adv: Tensor, y: Tensor, weights: Weights) -> Loss:
    """Logit pairing, and in the same way the final prediction's Grad-CAM of the true class, a mean over the places."""
    clean, adv = model(x, y), model(x_adv, y)
    value = pairing(spec.weight, clean, adv, y, weights)
    cams = (grad_cam(outputs.maps, model.fc.weight[y]) for outputs in (clean, adv))
    return Loss(value + spec.weight * squared_distance(*cams), adv)


def grad_cam(maps: Tensor, w: Tensor) -> Tensor:
    """Grad-CAM (B, H, W): relu(sum_k w_k A_k) of features A (B, C, H, W), with the last layer's weights w (B, C) of a class.

    After pooling and a linear layer the class's gradient is w_k / (H W) at every place, so no differentiation is needed. The
    constant H W is left out: a place then has the size of a logit whatever the resolution.
    """
    return F.relu((maps * w[:, :, None, None]).sum(1))
