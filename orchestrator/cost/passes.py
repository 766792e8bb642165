"""The cost of trainings, evaluations and measurements, in passes of one image through the network. Pure.

Specifications say how many passes an image needs (:mod:`trainables.config.terms.passes`); passes of different networks compare
by :func:`orchestrator.cost.network_size.multiply_adds`.
"""

from typing import Literal

from trainables.config import AttackSpec, Measure, TrialConfig
from trainables.config.terms.passes import FORWARD


def training_passes(config: TrialConfig) -> float:
    """Return the passes of an epoch: of the training attack and of learning, without :func:`selection_passes`."""
    attack = config.attack.passes() if config.attack else 0
    learning = config.objective.passes(config.attack is not None)
    return _images(config, "train") * (1 - config.data.validation) * (attack + learning)


def selection_passes(config: TrialConfig) -> float:
    """Return the most passes of the selection after an epoch: natural and attacked images of the selection split."""
    held_out = _images(config, "train") * config.data.validation
    images = _images(config, "test") if config.selection.split == "test" else held_out
    return images * (FORWARD + config.selection.attack.passes(config.data.info.classes))


def evaluation_passes(config: TrialConfig, attack: AttackSpec) -> float:
    """Return the most passes of an evaluation; examples that are broken early cost less.

    The prediction of a stochastic network takes many passes; those that an attack makes to judge its images are not counted.
    """
    held_out = round(_images(config, "train") * config.data.validation)
    images = _images(config, "test") if attack.split is None else held_out
    images = min(images, attack.examples or images)
    judging = FORWARD * config.module.predictions if config.module.draws else 0
    return images * (attack.passes(config.data.info.classes) + judging)


def measurement_passes(config: TrialConfig, measure: Measure) -> float:
    """Return the most passes of a measurement."""
    return _images(config, "test") * measure.passes(config.data.info.classes)


def _images(config: TrialConfig, split: Literal["train", "test"]) -> int:
    """Return how many examples of the data set's split the trial uses."""
    images: int = getattr(config.data.info, split)
    return min(images, config.data.examples or images)
