"""What the inputs maximise while the weights are trained, by the names in ``config.TrainingAttack``."""

from collections import ChainMap
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.gradient import Objective, clean_outputs
from trainables.attacks.building_blocks.joint_objective import joint_objective, kl_divergence, paired_objective
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.methods.apgd import apgd
from trainables.attacks.methods.pgd import pgd
from trainables.attacks.training.adversarial_interpolation import interpolated_labels, similarity_to_mirror
from trainables.attacks.training.feature_scattering import transport
from trainables.attacks.training.friendly import friendly
from trainables.attacks.training.infofeature import infofeature
from trainables.config import registry
from trainables.joint import Weights, attack_weights


class Adversarial(NamedTuple):
    """What to train on.

    ``images``: (B, channels, size, size) in [0, 1]. ``targets``: distributions over the classes, (B, classes), in place of
    the labels; None where the labels stay.
    """

    images: Tensor
    targets: Tensor | None = None


class Batch(NamedTuple):
    """What every attack is given; ``epoch`` is counted from 1."""

    model: nn.Module
    x: Tensor
    y: Tensor
    weights: Weights
    generator: Generator
    epoch: int

    def ascend(self, objective: Objective, **settings: Any) -> Adversarial:
        return Adversarial(pgd(self.model, self.x, self.y, objective=objective, generator=self.generator, **settings))

    def objective(self, loss: str, bn: config.BatchNorm = "eval") -> Objective:
        """``ce`` or ``kl`` over the heads; the clean prediction of the latter is made here, once."""
        if loss == "ce":
            return joint_objective(self.weights, cross_entropy)
        return paired_objective(self.weights, kl_divergence, clean_outputs(self.model, self.x, bn))


def _pgd(spec: config.TrainingPGD, b: Batch) -> Adversarial:
    return b.ascend(
        b.objective(spec.loss, spec.bn),
        eps=spec.eps,
        step=spec.step,
        iterations=spec.iterations,
        start=spec.start,
        norm=spec.norm,
        bn=spec.bn,
    )


def _fgsm_rs(spec: config.FGSMRS, b: Batch) -> Adversarial:
    return b.ascend(b.objective("ce"), eps=spec.eps, step=spec.alpha * spec.eps, iterations=1, bn=spec.bn)


def _infofeature(spec: config.InfoFeature, b: Batch) -> Adversarial:
    fc = b.model.get_submodule("fc").get_parameter("weight")
    clean = clean_outputs(b.model, b.x, spec.bn)
    objective = infofeature(b.objective("ce"), clean, fc, b.y, lam=spec.lam, distance=spec.distance)
    return b.ascend(objective, eps=spec.eps, step=spec.step, iterations=spec.iterations, bn=spec.bn)


def _feature_scattering(spec: config.FeatureScattering, b: Batch) -> Adversarial:
    term = partial(transport, spec.regularisation, spec.sinkhorn)
    objective = paired_objective(b.weights, term, clean_outputs(b.model, b.x))
    return b.ascend(objective, eps=spec.eps, step=spec.eps, iterations=1)


def _adversarial_interpolation(spec: config.AdversarialInterpolation, b: Batch) -> Adversarial:
    clean = clean_outputs(b.model, b.x)
    images, _ = b.ascend(similarity_to_mirror(clean), eps=spec.eps, step=spec.eps, iterations=1)
    return Adversarial(images, interpolated_labels(b.y, clean.logits.shape[1], eps_y=spec.eps_y))


def _apgd(spec: config.APGD, b: Batch) -> Adversarial:
    images = apgd(
        b.model, b.x, b.y, eps=spec.eps, iterations=spec.iterations, objective=b.objective("ce"), generator=b.generator
    )
    return Adversarial(images)


def _friendly(spec: config.Friendly, b: Batch) -> Adversarial:
    images = friendly(
        b.model,
        b.x,
        b.y,
        eps=spec.eps,
        step=spec.step,
        iterations=spec.iterations,
        tau=spec.tau(b.epoch),
        objective=b.objective(spec.loss),
        generator=b.generator,
        start=spec.start,
    )
    return Adversarial(images)


#: ``(spec, batch) -> Adversarial`` for each name.
TRAINING_ATTACKS: ChainMap[str, Callable[[Any, Batch], Adversarial]] = ChainMap(
    {
        "pgd": _pgd,
        "fgsm-rs": _fgsm_rs,
        "infofeature": _infofeature,
        "feature-scattering": _feature_scattering,
        "adversarial-interpolation": _adversarial_interpolation,
        "apgd": _apgd,
        "friendly": _friendly,
    },
    registry.TRAINING_ATTACK.table("functions"),
)


def training_attack(
    spec: config.TrainingAttack | None,
    module: config.Module,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    generator: Generator,
    epoch: int,
) -> Adversarial:
    """The examples to train on; the model, its gradients and the global generators stay as they were.

    Args:
        spec: which attack, and its settings; without one, x comes back.
        module: what is inserted in the model: it decides how the heads are weighed.
        model: called without labels, in evaluation mode but for what the attack's ``bn`` says.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        generator: the only source of chance, on x's device.
        epoch: counted from 1.
    """
    if spec is None:
        return Adversarial(x)
    weights = attack_weights(getattr(spec, "beta_atk", "own"), module)
    return TRAINING_ATTACKS[spec.name](spec, Batch(model, x, y, weights, generator, epoch))
