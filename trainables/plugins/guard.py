"""Plugins' attacks, held to what attacks promise."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import frozen
from trainables.attacks.case import Case
from trainables.attacks.training.batch import Adversarial, Batch
from trainables.config.terms.registry import BadPlugin

#: How far beyond eps rounding may lead, in shares of it.
SLACK = 1e-3


def guarded(function: Callable[[Any, Case], Tensor | Attacked]) -> Callable[[Any, Case], Attacked]:
    """An evaluation's attack in a frozen network, its images looked at.

    From images alone, what the network misclassifies as it is stays broken whatever comes out.

    Raises:
        BadPlugin: images of another shape, with a pixel outside [0, 1], or beyond the attack's ``eps``.
    """

    @wraps(function)
    def attack(spec: Any, case: Case) -> Attacked:
        with frozen(case.network):
            found = function(spec, case)
        images = found.images if isinstance(found, Attacked) else found
        _check(spec, case.x, images)
        if isinstance(found, Attacked):
            return found
        return case.blindly(lambda: images.detach())

    return attack


def guarded_training(function: Callable[[Any, Batch], Tensor | Adversarial]) -> Callable[[Any, Batch], Adversarial]:
    """A training's attack in a frozen network. Its images are not looked at: the host would wait for the device.

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


def _check(spec: Any, x: Tensor, images: Any) -> None:
    if not isinstance(images, Tensor) or images.shape != x.shape:
        shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise BadPlugin(f"attack {spec.name!r}: must return images of the shape {tuple(x.shape)}, and returned {shape}")
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise BadPlugin(f"attack {spec.name!r}: must return images in [0, 1]; a pixel is not")
    eps = getattr(spec, "eps", None)
    if eps is None:
        return
    p = {"linf": torch.inf, "l2": 2, "l1": 1}[getattr(spec, "norm", "linf")]
    farthest = float(torch.linalg.vector_norm((images - x).detach().flatten(1), p, dim=1).max())
    if farthest > eps * (1 + SLACK) + 1e-6:
        raise BadPlugin(f"attack {spec.name!r}: must stay within eps = {eps:g}, and went to {farthest:g}")
