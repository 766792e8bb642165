"""Auto-PGD as a training attack."""

import torch
from torch import Tensor

from trainables import config
from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.methods.apgd import apgd
from trainables.attacks.training.batch import Adversarial, Batch


def attack(spec: config.APGD, b: Batch) -> Adversarial:
    """Run APGD on the cross-entropy with the settings of the specification."""
    images = apgd(
        b.model, b.x, b.y, eps=spec.eps, iterations=spec.iterations, objective=b.objective("ce"), generator=b.generator
    )
    if spec.unbroken == "natural":
        broken = _right(b, b.x) & ~_right(b, images)
        images = torch.where(broken[:, None, None, None], images, b.x)
    return Adversarial(images)


def _right(b: Batch, images: Tensor) -> Tensor:
    """Return which images (B, channels, size, size) the network classifies right, (B,)."""
    return clean_outputs(b.model, images).logits.argmax(1) == b.y
