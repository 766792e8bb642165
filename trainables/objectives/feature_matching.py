"""Adversarial Feature Matching (Li et al., IEEE Access 2020)."""

import torch.nn.functional as F
from torch import Tensor

from trainables.config import FeatureMatching
from trainables.joint import Weights
from trainables.models import Network
from trainables.objectives.alp import pairing
from trainables.objectives.loss import Loss, squared_distance


def feature_matching(spec: FeatureMatching, model: Network, x: Tensor, x_adv: Tensor, y: Tensor, weights: Weights) -> Loss:
    """Add to the logit pairing loss the mean squared difference of the Grad-CAMs of the true class, in the final prediction."""
    clean, adv = model(x, y), model(x_adv, y)
    value = pairing(spec.weight, clean, adv, y, weights)
    cams = (grad_cam(outputs.maps, model.fc.weight[y]) for outputs in (clean, adv))
    return Loss(value + spec.weight * squared_distance(*cams), adv)


def grad_cam(maps: Tensor, w: Tensor) -> Tensor:
    """Compute the Grad-CAM relu(sum_k w_k A_k), (B, H, W), from features A (B, C, H, W) and a class's last weights w (B, C).

    After pooling and a linear layer, the class's gradient is w_k / (H W) at every pixel, so no differentiation is needed. The
    constant H W is omitted, so that values have the size of logits at every resolution.
    """
    return F.relu((maps * w[:, :, None, None]).sum(1))
