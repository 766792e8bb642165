"""Running any training attack from its specification."""

from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.training.batch import Adversarial, Batch
from trainables.config.terms.registry import TRAINING_ATTACK
from trainables.joint import attack_weights


def training_attack(
    spec: config.TrainingAttack | None,
    module: config.Module,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    generator: Generator,
    epoch: int,
) -> Adversarial:
    """Return the examples to train on; the model, its gradients and the global generators are left unchanged.

    Args:
        spec: which attack, and its settings; with None, x is returned.
        module: specification of the module inserted in the model, which decides the weights of the heads.
        model: called without labels, in evaluation mode except for batch norms where the attack's ``bn`` is ``train``.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        generator: the only source of random numbers, on x's device.
        epoch: counted from 1.
    """
    if spec is None:
        return Adversarial(x)
    weights = attack_weights(config.Aim.parse(getattr(spec, "beta_atk", "own")), module)
    found: Adversarial = TRAINING_ATTACK.load(spec.name)(spec, Batch(model, x, y, weights, generator, epoch))
    return found
