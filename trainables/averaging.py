"""Averages of a network's weights over its training: EMA and SWA."""

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
    """The average of a network's weights, held in a second network that is never trained.

    EMA, an exponential average, is updated after every step. It averages the running statistics of batch norms as well: they
    are moving averages themselves, and the averaged weights stay close to the current ones.
    SWA (Izmailov et al., UAI 2018) is the mean of the weights after several epochs. Its batch statistics are recomputed after
    each of these epochs, from the natural training examples without augmentation, by the averaged network in evaluation mode.
    Before SWA's first epoch the average is a copy of the trained network.

    Args:
        spec: which average, and its settings.
        network: built like the trained network and on the same device; it is put in evaluation mode and becomes the average.
        seed: the trial's seed.
    """

    def __init__(self, spec: config.EMA | config.SWA, network: Network, seed: int) -> None:
        self.spec, self.network, self._seed = spec, network.eval().requires_grad_(False), seed
        self._averaged = 0  # steps of EMA, epochs of SWA

    def after_step(self, present: Network) -> None:
        """Update the average; call it with the trained network after every optimiser step."""
        if isinstance(self.spec, config.EMA):
            # The first weights are poor: until about 1 / (1 - decay) steps are done, the average spans fewer of them.
            self._move(present, 1 - min(self.spec.decay, (1 + self._averaged) / (10 + self._averaged)))

    def after_epoch(self, present: Network, epoch: int, examples: Examples) -> None:
        """Update the average; call it with the trained network and its training examples after ``epoch``, counted from 1."""
        if isinstance(self.spec, config.EMA):
            return
        if epoch < self.spec.start:
            self.network.load_state_dict(present.state_dict())
        else:
            self._move(present, 1 / (1 + self._averaged))
            self._recompute_statistics(examples, epoch)

    def _move(self, present: Network, share: float) -> None:
        """Move the average towards the current weights and statistics by ``share`` in [0, 1]; copy integer counters."""
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
            # Shuffled, so that no batch holds a single class; in parts of equal size, so that all examples count the same.
            for part in order.chunk(-(-len(order) // BATCH)):
                for images, _ in examples.batches(part, len(part)):
                    self.network(images.float() / 255)
        self.network.draw_from(before)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.eval().momentum = momentum

    def state_dict(self) -> dict[str, Any]:
        """Return the state that averaging resumes from."""
        return {"averaged": self._averaged, "network": self.network.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from a state that :meth:`state_dict` returned."""
        self._averaged = state["averaged"]
        self.network.load_state_dict(state["network"])
