"""The fast adaptive boundary attack (Croce & Hein, ICML 2020), by pyautoattack."""

import math
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked, closest
from trainables.attacks.building_blocks.global_generators import seeded_global_generators
from trainables.attacks.building_blocks.gradient import frozen
from trainables.attacks.building_blocks.surrogate import predict
from trainables.attacks.case import Case
from trainables.config import Norm
from trainables.config.module import AVERAGED

#: Gradients in memory, in numbers: examples are attacked in parts where one for each class would be more.
NUMBERS = 2**28


def fab(
    network: nn.Module,
    logits: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: Norm,
    iterations: int,
    generator: Generator,
    targets: int = 0,
    restarts: int = 1,
) -> list[Tensor]:
    """For each restart and target, images (B, channels, size, size) in [0, 1]: the nearest misclassified, or x itself.

    Args:
        network: whose final prediction decides what is misclassified.
        logits: images to the logits (B, classes) whose boundaries are linearised.
        x: images (B, channels, size, size) in [0, 1], all classified right.
        y: labels (B,).
        eps: radius of random starts, from the second restart on.
        norm: of the change.
        iterations: of each run.
        generator: of random starts, on x's device.
        targets: 0, or how many of the best wrong classes are each aimed at alone.
        restarts: the first is from the images themselves.
    """
    from pyautoattack.fab_pt import FABAttack_PT

    class Judged(FABAttack_PT):  # type: ignore[misc]
        """Success is the network's final prediction's, not that of the logits that are followed."""

        def _get_predicted_label(self, images: Tensor) -> Tensor:
            return predict(network, images.to(x.dtype), AVERAGED).argmax(1)

    def run(some: Tensor, labels: Tensor, target: int, restart: int) -> Tensor:
        attack: Any = Judged(logits, norm=norm.capitalize(), n_iter=iterations, eps=eps, device=x.device)
        attack.target_class = target
        with torch.no_grad():
            found: Tensor = attack.attack_single_run(some, labels, use_rand_start=restart > 0, is_targeted=target > 0)
        return found

    with frozen(network), frozen(logits), seeded_global_generators(generator):
        with torch.no_grad():
            classes = logits(x[:1]).shape[1]
        part = max(1, NUMBERS // (math.prod(x.shape[1:]) * (1 if targets else classes)))
        aims = list(range(2, min(targets, classes - 1) + 2)) if targets else [0]
        parts = list(zip(torch.split(x, part), torch.split(y, part), strict=True))
        return [torch.cat([run(*some, aim, r) for some in parts]) for aim in aims for r in range(restarts)]


def attack(spec: config.FAB, c: Case) -> Attacked:
    """Run FAB as a specification says."""
    run = partial(
        fab,
        c.network,
        c.logits,
        eps=spec.eps,
        norm=spec.norm,
        iterations=spec.iterations,
        generator=c.generator,
        targets=spec.targets,
        restarts=spec.restarts,
    )
    return closest(c.network, c.x, c.y, eps=spec.eps, norm=spec.norm, search=run)
