"""The Square attack (Andriushchenko et al., ECCV 2020), by pyautoattack."""

from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.global_generators import seeded_global_generators
from trainables.attacks.building_blocks.gradient import Objective, frozen
from trainables.attacks.building_blocks.losses import margin
from trainables.attacks.building_blocks.surrogate import draws
from trainables.attacks.case import Case
from trainables.config.module import AVERAGED


def square(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: Literal["linf", "l2"],
    queries: int,
    p: float,
    rescale: bool,
    objective: Objective,
    generator: Generator,
) -> Tensor:
    """Images (B, channels, size, size) in [0, 1], at most ``eps`` from x in ``norm``.

    An example stops where its final prediction is wrong. On a stochastic network none stops, and a query is the mean of
    :data:`~trainables.config.module.AVERAGED` draws, or the search would go by its luckiest draw.

    Args:
        network: returns :class:`~trainables.outputs.Outputs`; called without labels or gradients, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change, of a pixel in [0, 1] or in Euclidean length.
        norm: of the change.
        queries: of the network, for each example at most.
        p: the share of the pixels that the first squares change.
        rescale: whether the schedule of p, for 10,000 queries, is compressed to as many as there are.
        objective: what is maximised.
        generator: of squares and signs, on x's device.
    """
    from pyautoattack.square import SquareAttack

    class Judged(SquareAttack):  # type: ignore[misc]
        """The margin, which ends the search, is the final prediction's; the loss, which leads it, the objective's."""

        def margin_and_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            if stochastic:
                loss = -torch.stack([objective(network(images), labels) for _ in range(AVERAGED)]).mean(0)
                return torch.ones_like(loss), loss
            outputs = network(images)
            return -margin(outputs.logits, labels), -objective(outputs, labels)

    stochastic = draws(network)
    with frozen(network), torch.no_grad(), seeded_global_generators(generator):
        settings = {"n_queries": queries, "eps": eps, "p_init": p, "resc_schedule": rescale, "device": x.device}
        attack = Judged(network, norm=norm.capitalize(), **settings)
        attack.init_hyperparam(x)
        found: Tensor = attack.attack_single_run(x, y)[1]
    return found


def attack(spec: config.Square, c: Case) -> Attacked:
    """Run Square on the margin as a specification says."""
    run = partial(
        square,
        c.network,
        eps=spec.eps,
        norm=spec.norm,
        queries=spec.queries,
        p=spec.p,
        rescale=spec.rescale,
        objective=c.objective(margin),
        generator=c.generator,
    )
    return c.one_by_one([run] * spec.restarts)
