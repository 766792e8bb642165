"""What trainings, evaluations and measurements cost in passes, to say how long a plan takes. Pure.

Passes of one image are a matter of the specifications (:mod:`trainables.config.terms.passes`); those of different networks
compare by :func:`orchestrator.cost.network_size.multiply_adds`.
"""

from typing import Literal

from trainables.config import AttackSpec, Measure, TrialConfig
from trainables.config.terms.passes import FORWARD


def training_passes(config: TrialConfig) -> float:
    """Passes of an epoch: the attack's and the weights' own; without :func:`selection_passes`."""
    attack = config.attack.passes() if config.attack else 0
    learning = config.objective.passes(config.attack is not None)
    return _images(config, "train") * (1 - config.data.validation) * (attack + learning)


def selection_passes(config: TrialConfig) -> float:
    """Passes behind an epoch, at most: the selection split, as it is and under attack."""
    held_out = _images(config, "train") * config.data.validation
    images = _images(config, "test") if config.selection.split == "test" else held_out
    return images * (FORWARD + config.selection.attack.passes(config.data.info.classes))


def evaluation_passes(config: TrialConfig, attack: AttackSpec) -> float:
    """Passes of an evaluation, at most: what is broken costs no more."""
    held_out = round(_images(config, "train") * config.data.validation)
    images = _images(config, "test") if attack.split is None else held_out
    images = min(images, attack.examples or images)
    return images * attack.passes(config.data.info.classes)


def measurement_passes(config: TrialConfig, measure: Measure) -> float:
    """Passes of a measurement, at most."""
    return _images(config, "test") * measure.passes(config.data.info.classes)


def _images(config: TrialConfig, split: Literal["train", "test"]) -> int:
    """Examples of the data set's split that the trial uses."""
    there: int = getattr(config.data.info, split)
    return min(there, config.data.examples or there)
