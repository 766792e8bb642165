"""Attacks that run other attacks: AutoAttack, transfer from another network, a training attack on test images."""

from functools import partial
from typing import Any

from torch import Tensor

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.surrogate import predict
from trainables.attacks.case import Case
from trainables.attacks.run import run_attack
from trainables.attacks.training.batch import Batch
from trainables.config.terms.registry import TRAINING_ATTACK
from trainables.joint import attack_weights, final_only


def autoattack(spec: config.AutoAttack, c: Case) -> Attacked:
    """Run the parts of AutoAttack, each on the examples that the previous ones did not break."""

    def run(part: Any, x: Tensor, y: Tensor) -> Tensor:
        return run_attack(part, c.network, x, y, c.weights, c.generator, complete=c.complete).images

    classes = predict(c.network, c.x[:1], most=1).shape[1]
    return c.one_by_one([partial(run, part) for part in spec.on(classes).parts])


def transfer(spec: config.Transfer, c: Case) -> Attacked:
    """Run an attack on a source network and return its images, which are evaluated on the attacked network."""
    place = spec.source, spec.checkpoint
    if place not in c.sources:
        known = ", ".join("/".join(other) for other in c.sources) or "none"
        raise ValueError(f"attack.source = {'/'.join(place)}: this source network is not loaded; loaded: {known}")
    source = c.sources[place]
    weights = attack_weights(spec.attack.aim, source.module)
    return c.blindly(lambda: run_attack(spec.attack, source.network, c.x, c.y, weights, c.generator).images)


def as_training(spec: config.AsTraining, c: Case) -> Attacked:
    """Run a training attack on the images as one batch of the first epoch."""
    weights = final_only(c.weights) if getattr(spec.attack, "beta_atk", "own") == "0" else c.weights
    batch = Batch(c.network, c.x, c.y, weights, c.generator, epoch=1)
    return c.blindly(lambda: TRAINING_ATTACK.load(spec.attack.name)(spec.attack, batch).images)
