"""Averages of a network's weights over its training."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from trainables import config
from trainables.data import Examples
from trainables.evaluation import BATCH
from trainables.models import Network
from trainables.rng import generator


class Average:
    """The average of a network's weights, in a network of its own that never learns.

    An exponential average (EMA) moves after every step. It averages the running statistics of batch norms as well: they are
    moving averages themselves, of the examples trained on, and its weights stay close to the present ones.
    Of the weights after several epochs, all counted alike (SWA; Izmailov et al., UAI 2018), no network has ever had the
    statistics; they are computed anew after each such epoch from the natural training examples, as they are, by the network as
    it is evaluated. Before SWA's first epoch the average is the network itself.

    Args:
        spec: of the average.
        network: built as the trained one and on its device; it becomes the average, in evaluation mode.
        seed: the trial's.
    """

    def __init__(self, spec: config.EMA | config.SWA, network: Network, seed: int) -> None:
        self.spec, self.network, self._seed = spec, network.eval().requires_grad_(False), seed
        self._averaged = 0  # steps of EMA, epochs of SWA

    def after_step(self, present: Network) -> None:
        """To be called with the trained network after every change of its weights."""
        if isinstance(self.spec, config.EMA):
            # The first weights are bad ones: until 1 / (1 - decay) steps are done, the average reaches less far back.
            self._move(present, 1 - min(self.spec.decay, (1 + self._averaged) / (10 + self._averaged)))

    def after_epoch(self, present: Network, epoch: int, examples: Examples) -> None:
        """To be called with the trained network and its training examples after ``epoch``, counted from 1."""
        if isinstance(self.spec, config.EMA):
            return
        if epoch < self.spec.start:
            self.network.load_state_dict(present.state_dict())
        else:
            self._move(present, 1 / (1 + self._averaged))
            self._recompute_statistics(examples, epoch)

    def _move(self, present: Network, share: float) -> None:
        """Towards the present weights and statistics by ``share`` of the way, in [0, 1]; counters are taken over."""
        now = present.state_dict()
        for name, mean in self.network.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(now[name], share)
            else:
                mean.copy_(now[name])
        self._averaged += 1

    def _recompute_statistics(self, examples: Examples, epoch: int) -> None:
        norms = [m for m in self.network.modules() if isinstance(m, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.train().momentum = None  # a plain mean over the batches
        before = self.network.draw_from(generator(self._seed, f"average/{epoch}", examples.device))
        order = torch.randperm(len(examples), generator=generator(self._seed, f"average/{epoch}/order"))
        with torch.no_grad():
            # Shuffled, because a batch must not hold one class; in parts of equal size, so that no example counts more.
            for part in order.chunk(-(-len(order) // BATCH)):
                for images, _ in examples.batches(part, len(part)):
                    self.network(images.float() / 255)
        self.network.draw_from(before)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.eval().momentum = momentum

    def state_dict(self) -> dict[str, Any]:
        """Everything that averaging goes on from."""
        return {"averaged": self._averaged, "network": self.network.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self._averaged = state["averaged"]
        self.network.load_state_dict(state["network"])
