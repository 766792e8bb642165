"""Searches for the smallest change, by foolbox: DDN, DeepFool, Carlini & Wagner, Boundary, Brendel & Bethge.

Each search maps images (B, channels, size, size) in [0, 1] that are classified right, and labels (B,), to images, misclassified
or not. ``network``: whose final prediction decides. ``logits``: images to the logits (B, classes) that are differentiated.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked, closest
from trainables.attacks.building_blocks.global_generators import seeded_global_generators
from trainables.attacks.building_blocks.gradient import frozen
from trainables.attacks.building_blocks.starts import misclassified_starts
from trainables.attacks.building_blocks.surrogate import errs, predict
from trainables.attacks.case import Case
from trainables.config.module import AVERAGED


def ddn(spec: config.DDN, case: Case) -> Attacked:
    """Rony et al., CVPR 2019, algorithm 1. A gradient of 0 is replaced by noise."""
    from foolbox.attacks import DDNAttack

    attack = DDNAttack(init_epsilon=spec.initial, steps=spec.iterations, gamma=spec.gamma)
    return _closest(spec, case, partial(_one, attack))


def deepfool(spec: config.DeepFool, case: Case) -> Attacked:
    """Moosavi-Dezfooli et al., CVPR 2016, algorithm 2; of the ten best classes."""
    from foolbox import attacks

    kinds = {"linf": attacks.LinfDeepFoolAttack, "l2": attacks.L2DeepFoolAttack}
    attack = kinds[spec.norm](steps=spec.iterations, overshoot=spec.overshoot)
    return _closest(spec, case, partial(_one, attack))


def cw_l2(spec: config.CWL2, case: Case) -> Attacked:
    """Carlini & Wagner, S&P 2017, section VI. No search is given up early: whether one is would depend on the whole batch."""
    from foolbox.attacks import L2CarliniWagnerAttack

    attack = L2CarliniWagnerAttack(
        binary_search_steps=spec.searches,
        steps=spec.iterations,
        stepsize=spec.step,
        confidence=spec.confidence,
        initial_const=spec.initial,
        abort_early=False,
    )
    return _closest(spec, case, partial(_one, attack))


def boundary(spec: config.Boundary, case: Case) -> Attacked:
    """Brendel et al., ICLR 2018."""
    from foolbox.attacks import BoundaryAttack

    return _closest(spec, case, partial(_from_starts, lambda n: BoundaryAttack(steps=spec.iterations)))


def brendel_bethge(spec: config.BrendelBethge, case: Case) -> Attacked:
    """Brendel et al., NeurIPS 2019. foolbox multiplies the steps' radius by the batch's size, which is taken back here."""
    from foolbox import attacks

    kinds: dict[Literal["linf", "l2", "l1"], Any] = {
        "linf": attacks.LinfinityBrendelBethgeAttack,
        "l2": attacks.L2BrendelBethgeAttack,
        "l1": attacks.L1BrendelBethgeAttack,
    }
    return _closest(spec, case, partial(_from_starts, lambda n: kinds[spec.norm](steps=spec.iterations, lr=spec.lr / n)))


def _closest(spec: Any, case: Case, search: Callable[..., list[Tensor]]) -> Attacked:
    """Keep the nearest that ``search`` finds of the examples that are classified right."""

    def run(x: Tensor, y: Tensor) -> list[Tensor]:
        return search(case.network, case.logits, x, y, case.generator)

    return closest(case.network, case.x, case.y, eps=spec.eps, norm=spec.norm, search=run)


def _one(attack: Any, network: nn.Module, logits: nn.Module, x: Tensor, y: Tensor, generator: Generator) -> list[Tensor]:
    return [_run(attack, network, logits, x, y, generator)]


def _from_starts(
    build: Callable[[int], Any], network: nn.Module, logits: nn.Module, x: Tensor, y: Tensor, generator: Generator
) -> list[Tensor]:
    """Run the attack on the examples for which a start was found, from that start."""
    with frozen(network):
        start, there = misclassified_starts(network, x, y, generator)
    images = start.clone()
    if there.any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numba compiles, for half a minute
            attack = build(int(there.sum()))
        images[there] = _run(attack, network, logits, x[there], y[there], generator, starting_points=start[there])
    return [start, images]


def _run(
    attack: Any, network: nn.Module, logits: nn.Module, x: Tensor, y: Tensor, generator: Generator, **settings: Any
) -> Tensor:
    import eagerpy
    from foolbox import PyTorchModel
    from foolbox.criteria import Misclassification

    class Judged(Misclassification):  # type: ignore[misc]
        """Success is the network's final prediction's, not that of the logits that are followed.

        Starting points are first of all asked about, and refused if they are not misclassified. A stochastic network may have
        changed its mind on them, so they are believed.
        """

        believes = "starting_points" in settings

        def __call__(self, perturbed: Any, outputs: Any) -> Any:
            images, restore = eagerpy.astensor_(perturbed)
            believes, self.believes = self.believes, False
            is_adv = errs(predict(network, images.raw, AVERAGED), y)
            return restore(eagerpy.astensor(torch.ones_like(is_adv) if believes else is_adv))

    # foolbox takes means of nothing.
    with warnings.catch_warnings(), frozen(network), frozen(logits), seeded_global_generators(generator):
        warnings.simplefilter("ignore")
        model = PyTorchModel(logits, bounds=(0, 1), device=x.device)
        found: Tensor = attack.run(model, x, Judged(y), **settings)
    return found.detach()
