"""Attacks that look for the smallest change: what they are given, and what counts of what they find."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.attacks.building_blocks.ball import length
from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.building_blocks.surrogate import errs
from trainables.config import Norm


class Attacked(NamedTuple):
    """What an attack did to a batch.

    ``images``: (B, channels, size, size) in [0, 1], within the attack's eps. ``distance``: float32 (B,), of the nearest
    misclassified image that was found, however far: 0 where the image itself is one, inf where none was found; None for an
    attack that looks within eps only. ``broken``: int64 (B,), the gradient steps over all restarts after which each example was
    first misclassified (:class:`~trainables.attacks.building_blocks.watch.Watch`), or, for an attack without such steps, 0
    where it is as it is; None where nobody looked on the way.
    """

    images: Tensor
    distance: Tensor | None = None
    broken: Tensor | None = None


def closest(
    network: nn.Module, x: Tensor, y: Tensor, *, eps: float, norm: Norm, search: Callable[[Tensor, Tensor], list[Tensor]]
) -> Attacked:
    """The nearest of the misclassified images that ``search`` finds; the image itself where that is farther than ``eps``.

    Whatever a search says of its success: the network, as it is, decides here, and so does the image that comes out of it.

    Args:
        network: in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change.
        norm: of the change.
        search: the images and labels that are right, to one or more images for each; it is not called where there are none.
    """
    images, right = x.clone(), ~errs(clean_outputs(network, x).logits, y)
    distance = torch.where(right, torch.inf, 0.0).to(torch.float32)
    left = right.nonzero()[:, 0]
    if len(left):
        for found in search(x[left], y[left]):
            near = found.detach().to(x.dtype).clamp(0, 1)  # a number that is none stays none, and has no distance
            is_adv = errs(clean_outputs(network, near).logits, y[left])
            far = length(near - x[left], norm).to(torch.float32)
            better = is_adv & (far < distance[left])
            distance[left[better]], images[left[better]] = far[better], near[better]
    within = distance <= eps
    return Attacked(torch.where(within[:, None, None, None], images, x), distance)
