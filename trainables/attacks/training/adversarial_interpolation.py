"""Adversarial Interpolation (Zhang & Xu, 2020): images move towards a partner's features, labels away from its label.

The partner of an image is its mirror in the batch: the first image is paired with the last. The middle image of a batch of odd
size is its own partner.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables import config
from trainables.attacks.building_blocks.gradient import Objective, clean_outputs
from trainables.attacks.training.batch import Adversarial, Batch
from trainables.outputs import Outputs


def similarity_to_mirror(clean: Outputs) -> Objective:
    """Return cos(f(x'), f(x_t)), (B,), of pooled features f (B, C) and the mirrored clean ones: 1 minus the paper's loss."""
    target = clean.features.flip(0)

    def objective(outputs: Outputs, y: Tensor) -> Tensor:
        return F.cosine_similarity(outputs.features, target, dim=1)

    return objective


def interpolated_labels(y: Tensor, classes: int, *, eps_y: float) -> Tensor:
    """Compute (1 - eps_y) y + eps_y (1 - y_t) / (classes - 1), (B, classes) with rows of sum 1, from labels (B,).

    While the image moves towards x_t, its label moves towards every class except y_t.
    """
    one_hot = torch.zeros(len(y), classes, device=y.device).scatter(1, y[:, None], 1)
    return (1 - eps_y) * one_hot + eps_y * (1 - one_hot.flip(0)) / (classes - 1)


def attack(spec: config.AdversarialInterpolation, b: Batch) -> Adversarial:
    """Take one step of size eps towards the mirrored images' features, and move the labels away from their labels.

    The uniform start may be outside [0, 1] until the step, as in the authors' code.
    """
    clean = clean_outputs(b.model, b.x)
    images, _ = b.ascend(similarity_to_mirror(clean), eps=spec.eps, step=spec.eps, iterations=1, outside=True)
    return Adversarial(images, interpolated_labels(b.y, clean.logits.shape[1], eps_y=spec.eps_y))
