"""What the inputs maximise: in evaluations, by the names in ``config.Attack``, and in training, in :mod:`.training`.

The two are apart because they are settled apart: an evaluation's attack has a beta_atk of any kind, restarts and a key of its
own; a training's is a part of its trial and may move a batch together, change labels or depend on the epoch.
"""

from collections.abc import Callable
from typing import Any

from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.fgsm import fgsm
from trainables.attacks.gradient import Objective
from trainables.attacks.joint_objective import joint_objective
from trainables.attacks.losses import cross_entropy, cw_margin
from trainables.attacks.pgd import pgd
from trainables.attacks.training import TRAINING_ATTACKS, Adversarial, training_attack
from trainables.joint import Weights

__all__ = ["ATTACKS", "TRAINING_ATTACKS", "Adversarial", "Objective", "joint_objective", "run_attack", "training_attack"]


def _natural(spec: config.Natural, model: nn.Module, x: Tensor, y: Tensor, weights: Weights, generator: Generator) -> Tensor:
    return x


def _fgsm(spec: config.FGSM, model: nn.Module, x: Tensor, y: Tensor, weights: Weights, generator: Generator) -> Tensor:
    return fgsm(model, x, y, eps=spec.eps, objective=joint_objective(weights, cross_entropy))


def _pgd(
    spec: config.PGD | config.CW, model: nn.Module, x: Tensor, y: Tensor, weights: Weights, generator: Generator
) -> Tensor:
    return pgd(
        model,
        x,
        y,
        eps=spec.eps,
        step=spec.step,
        iterations=spec.iterations,
        objective=joint_objective(weights, cw_margin(spec.confidence) if isinstance(spec, config.CW) else cross_entropy),
        generator=generator,
        start=spec.start,
        restarts=spec.restarts,
    )


#: ``(spec, model, x, y, weights, generator) -> x_adv`` for each name.
ATTACKS: dict[str, Callable[[Any, nn.Module, Tensor, Tensor, Weights, Generator], Tensor]] = {
    "natural": _natural,
    "fgsm": _fgsm,
    "pgd": _pgd,
    "cw": _pgd,
}


def run_attack(spec: config.Attack, model: nn.Module, x: Tensor, y: Tensor, weights: Weights, generator: Generator) -> Tensor:
    """Adversarial images, shaped as x and in [0, 1]; the model, its gradients and the global generators stay as they were.

    Args:
        spec: which attack, and its settings.
        model: the network; it is called without labels, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        weights: of the heads, from :func:`trainables.joint.attack_weights`.
        generator: the only source of chance, on x's device.
    """
    return ATTACKS[spec.name](spec, model, x, y, weights, generator)
