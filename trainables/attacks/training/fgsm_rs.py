"""FGSM from a random start (Wong et al., ICLR 2020)."""

from trainables import config
from trainables.attacks.training.batch import Adversarial, Batch


def attack(spec: config.FGSMRS, b: Batch) -> Adversarial:
    """Take one step of alpha eps from a uniform point, clipped to the ball."""
    return b.ascend(b.objective("ce"), eps=spec.eps, step=spec.alpha * spec.eps, iterations=1, bn=spec.bn)
