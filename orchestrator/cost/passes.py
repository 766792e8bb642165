"""What trainings, attacks and measures cost, to say how long a plan takes. Pure.

The unit is a pass: one image forward, and back to its pixels, which is an attack's step. A forward pass is half of it, for a
gradient takes as many multiply-adds as the pass; the weights' own step takes two gradients, the features' and the weights'.
Passes of different networks compare by :func:`orchestrator.cost.network_size.multiply_adds`.
"""

from math import prod
from typing import Literal

from trainables.config import (
    AFD,
    APGD,
    CW,
    CWL2,
    DDN,
    DIFGSM,
    FAB,
    FGSM,
    FGSMRS,
    MD,
    MIM,
    PCL,
    PGD,
    AdversarialInterpolation,
    AsTraining,
    Attack,
    AutoAttack,
    AutoPGD,
    AvgPGD,
    Boundary,
    BrendelBethge,
    ClassGradients,
    DeepFool,
    FeatureScattering,
    Friendly,
    InfoFeature,
    Measure,
    NAttack,
    Natural,
    Noise,
    Perturbations,
    Soundness,
    Square,
    TrainingAttack,
    TrainingPGD,
    Transfer,
    TrialConfig,
    registry,
)

#: A forward pass, and a step of the weights on one image, in passes.
FORWARD, WEIGHTS = 1 / 2, 3 / 2

#: Objectives that look at natural and adversarial images, so that each image is learnt from twice.
_PAIRED = {"trades", "mart", "alp", "feature-matching", "l2-matching"}


def attack_passes(attack: Attack, classes: int) -> float:
    """Passes of one image that nothing breaks, among so many ``classes``."""
    match attack:
        case Natural():
            return FORWARD
        case Noise():
            return FORWARD * attack.restarts
        case FGSM():
            return attack.eot
        case PGD() | CW():
            return attack.iterations * attack.restarts * attack.eot
        case MIM() | DIFGSM():
            return attack.iterations * attack.eot
        case AvgPGD():
            return attack.iterations * attack.samples
        case MD():
            return 2 * (attack.iterations + 1) * attack.restarts * attack.eot
        case AutoPGD():
            targets = min(attack.targets, classes - 1) if attack.loss == "targeted-dlr" else 1
            return (attack.iterations + 1) * targets * attack.restarts * attack.eot
        case FAB():
            # One boundary for each target, or all of them.
            return attack.iterations * attack.restarts * (min(attack.targets, classes - 1) or classes)
        case DeepFool():
            return attack.iterations * classes
        case DDN() | BrendelBethge():
            return attack.iterations
        case CWL2():
            return attack.iterations * attack.searches
        case Boundary():
            return FORWARD * attack.iterations
        case Square():
            return FORWARD * attack.queries * attack.restarts
        case NAttack():
            return FORWARD * attack.queries
        case AutoAttack():
            return sum(attack_passes(part, classes) for part in attack.parts())
        case AsTraining():
            return training_attack_passes(attack.attack)
        case Transfer():
            return attack_passes(attack.attack, classes)
        case _:
            return _registered(attack)


def measure_passes(measure: Measure, classes: int) -> float:
    """Passes of one image among so many ``classes``: the attacks', and those of looking."""
    match measure:
        case Soundness():
            return 1 + FORWARD
        case ClassGradients():
            return classes
        case Perturbations():
            return attack_passes(measure.attack, classes) + attack_passes(measure.reference, classes)
        case _:
            return attack_passes(measure.attack, classes) + 2 * FORWARD


def training_attack_passes(attack: TrainingAttack) -> float:
    """Passes of one image; attacks that compare with the clean prediction make it once."""
    match attack:
        case TrainingPGD() | Friendly():
            return attack.iterations + (FORWARD if attack.loss == "kl" else 0)
        case FGSMRS():
            return 1
        case InfoFeature():
            return attack.iterations + FORWARD
        case FeatureScattering() | AdversarialInterpolation():
            return 1 + FORWARD
        case APGD():
            return attack.iterations + 1
        case _:
            return _registered(attack)


def _registered(attack: Attack | TrainingAttack) -> float:
    """Of an attack of one's own, by the names of its fields: a pass each time. What it took once is known by its name."""
    return float(prod(getattr(attack, field, 1) for field in ("iterations", "restarts", "eot")))


def objective_passes(config: TrialConfig) -> float:
    """Passes in which the weights learn from one image, without its attack."""
    objective = config.objective
    if isinstance(objective, AFD):
        # The natural image, once more for the discriminator, and the adversarial one.
        return 2 * WEIGHTS + FORWARD
    # One of one's own may look at both; at most, as elsewhere.
    both = config.attack is not None and (isinstance(objective, PCL) or type(objective) in registry.OBJECTIVE.specs.values())
    paired = objective.name in _PAIRED or both
    return 2 * WEIGHTS if paired else WEIGHTS


def training_passes(config: TrialConfig) -> float:
    """Passes of an epoch: the attack's and the weights' own; without :func:`selection_passes`."""
    attack = training_attack_passes(config.attack) if config.attack else 0
    return _images(config, "train") * (1 - config.data.validation) * (attack + objective_passes(config))


def selection_passes(config: TrialConfig) -> float:
    """Passes behind an epoch, at most: the selection split, as it is and under attack."""
    held_out = _images(config, "train") * config.data.validation
    images = _images(config, "test") if config.selection.split == "test" else held_out
    return images * (FORWARD + attack_passes(config.selection.attack, config.data.info.classes))


def evaluation_passes(config: TrialConfig, attack: Attack) -> float:
    """Passes of an evaluation, at most: what is broken costs no more."""
    held_out = round(_images(config, "train") * config.data.validation)
    images = _images(config, "test") if attack.split is None else held_out
    images = min(images, attack.examples or images)
    return images * attack_passes(attack, config.data.info.classes)


def measurement_passes(config: TrialConfig, measure: Measure) -> float:
    """Passes of a measurement, at most."""
    return _images(config, "test") * measure_passes(measure, config.data.info.classes)


def _images(config: TrialConfig, split: Literal["train", "test"]) -> int:
    """Examples of the data set's split that the trial uses."""
    there: int = getattr(config.data.info, split)
    return min(there, config.data.examples or there)
