"""Which of two images harms more, and attacks that follow one another."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.building_blocks.surrogate import errs


class Harm(NamedTuple):
    """Images (B, channels, size, size), whether each is misclassified, (B,), and its objective, (B,)."""

    images: Tensor
    is_adv: Tensor
    value: Tensor


def most_harmful(one: Harm, other: Harm) -> Harm:
    """For each example one of the two: what is misclassified, and among equals what has the higher objective, or ``one``.

    Misclassification comes first because it is what is counted, and an objective on other heads or with a bounded margin may
    be high without it.
    """
    better = (other.is_adv & ~one.is_adv) | ((other.is_adv == one.is_adv) & (other.value > one.value))
    return Harm(
        torch.where(better[:, None, None, None], other.images, one.images),
        one.is_adv | other.is_adv,
        torch.where(better, other.value, one.value),
    )


def in_turn(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    attacks: Iterable[Callable[[Tensor, Tensor], Tensor]],
    *,
    every: bool = False,
) -> Tensor:
    """Images, shaped as x, after several attacks: each on the examples that are still right, all with a wrong prediction left.

    What is misclassified from the start comes back as it is, or, with ``every``, from the first attack. An example that none
    breaks has the last one's image. Accuracy is what it would be if all attacked all; other figures of an example are those of
    the first that breaks it.

    Args:
        network: whose predictions count, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        attacks: images and labels of some of the examples to images.
        every: whether to attack what is misclassified from the start too, after the others.
    """
    attacks, images = list(attacks), x.clone()
    wrong = errs(clean_outputs(network, x).logits, y)
    left, rest = (~wrong).nonzero()[:, 0], wrong.nonzero()[:, 0]
    for attack in attacks:
        if not len(left):
            break
        images[left] = attack(x[left], y[left])
        left = left[~errs(clean_outputs(network, images[left]).logits, y[left])]
    if every and len(rest):
        images[rest] = attacks[0](x[rest], y[rest])
    return images
