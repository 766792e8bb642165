"""The input of an evaluation's attack, and helpers that run attacks on it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import Objective
from trainables.attacks.building_blocks.harm import in_turn, worst_of
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.surrogate import JointLogits, Judge, draws, judge
from trainables.attacks.building_blocks.watch import Watch
from trainables.joint import Weights
from trainables.models import Network


class SourceNetwork(NamedTuple):
    """Another trial's network, from which an attack is transferred, and the specification of its module."""

    network: Network
    module: config.Module


#: Source networks by the key of their trial and ``best`` or ``last``.
SourceNetworks = Mapping[tuple[str, str], SourceNetwork]


class Case(NamedTuple):
    """The input of every attack of an evaluation: a network and a batch of B examples.

    Attributes:
        network: the attacked network in evaluation mode, whose prediction decides whether an example is misclassified.
        model: what the attack differentiates: the network, or a view of it.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        weights: weights of the heads in the loss to maximise.
        generator: the only source of random numbers, on x's device.
        sources: networks that a transfer attack may use.
        complete: whether every example is attacked to the end; see :func:`trainables.attacks.run.run_attack`.
    """

    network: nn.Module
    model: nn.Module
    x: Tensor
    y: Tensor
    weights: Weights
    generator: Generator
    sources: SourceNetworks
    complete: bool

    def watched(self, attack: Callable[..., Tensor], *, transformed: bool = False, first: bool = True) -> Attacked:
        """Run ``attack`` with a watch that records when each example is broken.

        On a stochastic network it runs without: a point would be checked by a few draws, so that checking more of them would
        find more errors, and the end point alone is judged, by the mean of all draws.

        Args:
            attack: takes the keyword ``watch`` and returns images, shaped as x.
            transformed: whether the attack's gradients are taken at transformed images instead of the visited ones.
            first: whether to check the unperturbed images; not needed where the attack starts there.
        """
        if draws(self.network):
            return Attacked(attack(watch=None))
        along = self.model is self.network and not transformed
        leave = not self.complete and not draws(self.model)
        watch = Watch(self.network, self.x, self.y, along=along, leave=leave, first=first or not along)
        images = attack(watch=watch)
        return Attacked(images, broken=watch.since, ranks=None if leave else watch.ranks)

    def blindly(self, attack: Callable[[], Tensor]) -> Attacked:
        """Run ``attack`` without a watch; an example that is misclassified unperturbed counts as broken in any case."""
        if draws(self.network):
            return Attacked(attack() if self.complete else worst_of(self.network, self.y, [self.x, attack()]))
        watch = Watch(self.network, self.x, self.y, along=False, leave=False)
        images = attack()
        broken = (watch.since == 0)[:, None, None, None]
        return Attacked(images if self.complete else torch.where(broken, self.x, images), broken=watch.since)

    def one_by_one(self, attacks: list[Callable[[Tensor, Tensor], Tensor]]) -> Attacked:
        """Run ``attacks`` in turn, each on the examples that the previous ones did not break."""
        run = partial(in_turn, self.network, self.x, self.y, attacks, every=self.complete)
        return self.blindly(run) if self.complete else Attacked(run())

    def objective(self, term: Callable[[Tensor, Tensor], Tensor]) -> Objective:
        """Return the weighted sum over the heads of ``term``, which maps logits (B, classes) and labels (B,) to (B,)."""
        return joint_objective(self.weights, term)

    @property
    def judge(self) -> Judge:
        """The function that decides which images the network misclassifies."""
        return judge(self.network, self.model)

    @property
    def logits(self) -> nn.Module:
        """The model with its heads combined to one prediction, for attacks that know no heads."""
        return JointLogits(self.model, self.weights, self.x.dtype)
