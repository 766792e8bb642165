"""The more harmful of two adversarial images, and attacks that run in turn."""

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.attacks.building_blocks.losses import margin
from trainables.attacks.building_blocks.surrogate import draws, errs, judge, predict
from trainables.config.module import AVERAGED
from trainables.outputs import Outputs


class Harm(NamedTuple):
    """Adversarial ``images`` (B, channels, size, size), whether each ``is_adv`` (misclassified), (B,), and objectives (B,)."""

    images: Tensor
    is_adv: Tensor
    value: Tensor


def most_harmful(one: Harm, other: Harm) -> Harm:
    """Choose for each example the misclassified image, else the one with the higher objective, else that of ``one``.

    Misclassification comes first because accuracy is what is reported; an objective on other heads or with a bounded margin may
    be high without it.
    """
    better = (other.is_adv & ~one.is_adv) | ((other.is_adv == one.is_adv) & (other.value > one.value))
    return Harm(
        torch.where(better[:, None, None, None], other.images, one.images),
        one.is_adv | other.is_adv,
        torch.where(better, other.value, one.value),
    )


def worst_of(network: nn.Module, y: Tensor, candidates: Sequence[Tensor], most: int | None = None) -> Tensor:
    """Choose for each example the one of several images at which the prediction has the largest margin.

    All are predicted as one batch, so that of a network that draws once for a batch they meet the same draws. ``most``: of
    draws, as of :func:`~trainables.attacks.building_blocks.surrogate.predict`.
    """
    predictions = predict(network, torch.cat([*candidates]), most).chunk(len(candidates))
    harms = (Harm(images, errs(z, y), margin(z, y)) for images, z in zip(candidates, predictions, strict=True))
    return reduce(most_harmful, harms).images


#: Takes the most harmful of an attack's points so far (None at the first one), the next point, the outputs there and the
#: objectives (B,); returns the more harmful.
Keep = Callable[[Harm | None, Tensor, Outputs, Tensor], Harm]


def keeper(network: nn.Module, model: nn.Module, y: Tensor) -> Keep:
    """Return how an attack that differentiates ``model`` keeps its most harmful point.

    On a stochastic network both points are judged anew each time: the luckiest of many draws would never be given up.
    """
    decide = judge(network, model)

    def keep(worst: Harm | None, x_adv: Tensor, outputs: Outputs, value: Tensor) -> Harm:
        if not draws(network):
            harm = Harm(x_adv, decide(x_adv, outputs, y), value)
            return most_harmful(worst, harm) if worst else harm
        images = worst_of(network, y, [worst.images, x_adv], AVERAGED) if worst else x_adv
        return Harm(images, torch.zeros_like(y, dtype=torch.bool), value)

    return keep


def in_turn(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    attacks: Iterable[Callable[[Tensor, Tensor], Tensor]],
    *,
    every: bool = False,
) -> Tensor:
    """Run attacks in turn, each on the examples that are still classified correctly; return images, shaped as x.

    An example that is misclassified from the start keeps its image or, with ``every``, gets the first attack's. An example that
    no attack breaks gets the last attack's image. Accuracy is the same as if every attack ran on every example; other figures
    of an example are those of the first attack that breaks it.

    On a stochastic network every attack runs on every example and the worst image is kept: whether one is broken is known up to
    chance only, and nothing would make good for an attack that was left out.

    Args:
        network: the attacked network, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        attacks: each takes images and labels of some of the examples and returns images.
        every: whether to attack examples that are misclassified from the start, too.
    """
    if draws(network):
        return worst_of(network, y, [x, *(attack(x, y) for attack in attacks)])
    attacks, images = list(attacks), x.clone()
    wrong = errs(predict(network, x), y)
    left, rest = (~wrong).nonzero()[:, 0], wrong.nonzero()[:, 0]
    for attack in attacks:
        if not len(left):
            break
        images[left] = attack(x[left], y[left])
        left = left[~errs(predict(network, images[left]), y[left])]
    if every and len(rest):
        images[rest] = attacks[0](x[rest], y[rest])
    return images
