"""Auto-PGD as a training attack."""

from trainables import config
from trainables.attacks.methods.apgd import apgd
from trainables.attacks.training.batch import Adversarial, Batch


def attack(spec: config.APGD, b: Batch) -> Adversarial:
    """Run APGD on the cross-entropy with the settings of the specification."""
    images = apgd(
        b.model, b.x, b.y, eps=spec.eps, iterations=spec.iterations, objective=b.objective("ce"), generator=b.generator
    )
    return Adversarial(images)
