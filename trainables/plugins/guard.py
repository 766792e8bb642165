"""Plugins' attacks, held to what attacks promise."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import Tensor

from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import frozen
from trainables.attacks.case import Case
from trainables.attacks.training.batch import Adversarial, Batch
from trainables.config.terms.registry import BadPlugin
from trainables.plugins.promises import check_images, named

#: How far beyond eps rounding may lead, in shares of it.
SLACK = 1e-3


def guarded(function: Callable[[Any, Case], Tensor | Attacked]) -> Callable[[Any, Case], Attacked]:
    """Run an evaluation's attack in a frozen network, and check its images.

    From images alone, what the network misclassifies as it is stays broken whatever comes out.

    Raises:
        BadPlugin: images of another shape, with a pixel outside [0, 1], or beyond the attack's ``eps``.
    """

    @wraps(function)
    def attack(spec: Any, case: Case) -> Attacked:
        with frozen(case.network):
            found = function(spec, case)
        images = found.images if isinstance(found, Attacked) else found
        with named(f"attack {spec.name!r}"):
            check_images(spec, case.x, images, room=SLACK * getattr(spec, "eps", 0) + 1e-6)
        if isinstance(found, Attacked):
            return found
        return case.blindly(lambda: images.detach())

    return attack


def guarded_training(function: Callable[[Any, Batch], Tensor | Adversarial]) -> Callable[[Any, Batch], Adversarial]:
    """Run a training's attack in a frozen network. Its images are not checked: the host would wait for the device.

    Raises:
        BadPlugin: labels of its own, though its configuration does not say so.
    """

    @wraps(function)
    def attack(spec: Any, batch: Batch) -> Adversarial:
        with frozen(batch.model):
            found = function(spec, batch)
        images, targets = found if isinstance(found, Adversarial) else (found, None)
        if targets is not None and not spec.labels:
            raise BadPlugin(f"training attack {spec.name!r}: makes labels of its own; its specification must say labels = True")
        return Adversarial(images.detach(), targets)

    return attack
