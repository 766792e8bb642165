"""The result of an attack, and the evaluation of attacks that search for the smallest perturbation."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.attacks.building_blocks.ball import length
from trainables.attacks.building_blocks.surrogate import errs, predict
from trainables.config import Norm


class Attacked(NamedTuple):
    """What an attack did to a batch.

    Attributes:
        images: adversarial images, (B, channels, size, size) in [0, 1], within the attack's eps.
        distance: distance of the nearest misclassified image found, also beyond eps, float32 (B,): 0 where the image itself is
            misclassified, inf where none was found. None for an attack that searches within eps only.
        broken: gradient steps over all restarts after which each example was first misclassified, int64 (B,); see
            :class:`~trainables.attacks.building_blocks.watch.Watch`. For attacks without gradient steps, 0 where the
            unperturbed image is misclassified. None where this was not recorded.
        ranks: of the true label in every head at the last image alone, int16 (heads, B), by gradient steps over all restarts;
            None where the attack does not go on on broken examples. See the same class.
    """

    images: Tensor
    distance: Tensor | None = None
    broken: Tensor | None = None
    ranks: Mapping[int, Tensor] | None = None


def closest(
    network: nn.Module, x: Tensor, y: Tensor, *, eps: float, norm: Norm, search: Callable[[Tensor, Tensor], list[Tensor]]
) -> Attacked:
    """Return the nearest misclassified images that ``search`` finds, and the images themselves where these exceed ``eps``.

    Success is decided here, by the network's prediction and the distance of the returned images.

    Args:
        network: in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest perturbation that counts.
        norm: norm of perturbations.
        search: takes the correctly classified images and their labels and returns lists of candidate images; it is not called
            when there are none.
    """
    images, right = x.clone(), ~errs(predict(network, x), y)
    distance = torch.where(right, torch.inf, 0.0).to(torch.float32)
    left = right.nonzero()[:, 0]
    if len(left):
        for found in search(x[left], y[left]):
            near = found.detach().to(x.dtype).clamp(0, 1)  # NaN stays NaN, and its distance is not smaller than any other
            is_adv = errs(predict(network, near), y[left])
            far = length(near - x[left], norm).to(torch.float32)
            better = is_adv & (far < distance[left])
            distance[left[better]], images[left[better]] = far[better], near[better]
    within = distance <= eps
    return Attacked(torch.where(within[:, None, None, None], images, x), distance)
