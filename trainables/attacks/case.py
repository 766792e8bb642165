"""What an attack of an evaluation is given, and the ways to run one on it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import Objective
from trainables.attacks.building_blocks.harm import in_turn
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.surrogate import JointLogits, Judge, draws, judge
from trainables.attacks.building_blocks.watch import Watch
from trainables.joint import Weights
from trainables.models import Network


class Source(NamedTuple):
    """Another trial's network, on the attacked one's device, and what is inserted in it."""

    network: Network
    module: config.Module


#: Networks to transfer from, by their trial's key and ``best`` or ``last``.
Sources = Mapping[tuple[str, str], Source]


class Case(NamedTuple):
    """What every attack of an evaluation is given.

    Attributes:
        network: whose prediction counts, in evaluation mode.
        model: what is differentiated: the network, or a view of it.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        weights: of the heads in what is maximised.
        generator: the only source of random numbers, on x's device.
        sources: networks to transfer from.
        complete: whether every example is attacked to the end; see :func:`trainables.attacks.run.run_attack`.
    """

    network: nn.Module
    model: nn.Module
    x: Tensor
    y: Tensor
    weights: Weights
    generator: Generator
    sources: Sources
    complete: bool

    def watched(self, attack: Callable[..., Tensor], *, look: bool = False, first: bool = True) -> Attacked:
        """``attack`` with a watch, if the network's prediction is a function of the image.

        Otherwise an image is not misclassified or right, but now and then, and whoever looks more often finds more: the end
        point alone is judged then. ``look``: whether gradients are of other images than those visited.
        """
        if draws(self.network):
            return Attacked(attack(watch=None))
        along = self.model is self.network and not look
        leave = not self.complete and not draws(self.model)
        watch = Watch(self.network, self.x, self.y, along=along, leave=leave, first=first or not along)
        return Attacked(attack(watch=watch), broken=watch.since)

    def blindly(self, attack: Callable[[], Tensor]) -> Attacked:
        """``attack``, that knows nothing of who is broken; what is misclassified as it is stays so, whatever comes out."""
        if draws(self.network):
            return Attacked(attack())
        watch = Watch(self.network, self.x, self.y, along=False, leave=False)
        images = attack()
        broken = (watch.since == 0)[:, None, None, None]
        return Attacked(images if self.complete else torch.where(broken, self.x, images), broken=watch.since)

    def one_by_one(self, attacks: list[Callable[[Tensor, Tensor], Tensor]]) -> Attacked:
        """``attacks`` in turn, each on what is left."""
        run = partial(in_turn, self.network, self.x, self.y, attacks, every=self.complete)
        return self.blindly(run) if self.complete else Attacked(run())

    def objective(self, term: Callable[[Tensor, Tensor], Tensor]) -> Objective:
        """The weighted sum over the heads of ``term``, which maps logits (B, classes) and labels (B,) to (B,)."""
        return joint_objective(self.weights, term)

    @property
    def judge(self) -> Judge:
        return judge(self.network, self.model)

    @property
    def logits(self) -> nn.Module:
        return JointLogits(self.model, self.weights, self.x.dtype)
