"""An attack on a network, evaluated example by example: the rank of the true label."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables import config
from trainables.attacks import NEVER, Attacked, SourceNetworks, run_attack
from trainables.attacks.building_blocks.surrogate import averaged
from trainables.attacks.building_blocks.surrogate import draws as is_stochastic
from trainables.data import Examples, evaluation_batches
from trainables.joint import Weights
from trainables.models import Network
from trainables.outputs import heads, rank
from trainables.rng import generator

#: Batch size of evaluations.
BATCH = 500


class Drawn(NamedTuple):
    """How often a stochastic network is right on the images that an attack returned.

    ``accuracy``: of a single draw, the mean over ``draws`` of them. ``averaged``: of the mean of their softmax, which is the
    network's prediction.
    """

    accuracy: float
    averaged: float
    draws: int


class Evaluated(NamedTuple):
    """What an attack did to each of N examples.

    Every attack returns :class:`~trainables.attacks.Attacked` of one batch: images on the device, for composite attacks and
    measures to go on with. This is what is left of all batches once the network has been asked about them.

    ``ranks``: of the true label, (N,) for each head: ``final`` and, in a complete evaluation, ``1``, ``2``, ... of the inserted
    modules, in forward order. They are of the attack's end point, but for an example that is broken there or anywhere on the
    way: its final rank is 1 at least, so that a final rank of 0 is what was never broken. ``distance``: of the nearest
    misclassified image, (N,), 0 where the example itself is one and inf where none was found; None but for attacks that search
    for it. Accuracy at any eps is the share of distances above it; at the attack's own it is that of final ranks 0, too.
    ``broken``: the gradient steps over all restarts after which each example was first broken, (N,), and
    :data:`~trainables.attacks.NEVER`; None for attacks that do not count them, and for networks that draw. ``last``: the ranks
    of each head at the last image alone, (heads, N), by gradient steps over all restarts; of several restarts the final
    prediction's are the highest of those at the end of each. None where the attack stops on broken examples, and where
    ``broken`` is None. ``drawn``: None but for networks that draw.
    """

    ranks: dict[str, NDArray[np.uint16]]
    distance: NDArray[np.float32] | None = None
    broken: NDArray[np.uint16] | None = None
    last: Mapping[int, NDArray[np.uint16]] | None = None
    drawn: Drawn | None = None

    @property
    def accuracy(self) -> float:
        """Share of the examples whose final prediction stays right, in [0, 1]."""
        return float((self.ranks["final"] == 0).mean())

    def after(self, steps: int) -> "Evaluated":
        """Reconstruct the result of the attack after so many gradient steps over all restarts.

        Raises:
            ValueError: nothing says when examples were broken, or which ranks a complete evaluation found there.
        """
        if self.broken is None:
            raise ValueError("this attack on this network does not tell when an example is broken")
        there = self.broken <= steps
        ranks = {"final": np.where(there, self.ranks["final"], np.uint16(0))}
        if self.last is not None:
            if steps not in self.last:
                raise ValueError(f"no point was judged after {steps} gradient steps")
            ranks = dict(zip(self.ranks, self.last[steps], strict=True))
            ranks["final"] = np.where(there, np.maximum(ranks["final"], 1), np.uint16(0))
        return Evaluated(ranks, self.distance, np.where(there, self.broken, np.uint16(NEVER)), self.last)

    def last_accuracy(self, steps: int) -> float | None:
        """Return the accuracy by the last image alone after so many gradient steps; None where nothing says."""
        return float((self.last[steps][0] == 0).mean()) if self.last and steps in self.last else None

    def by_steps(self, lengths: Iterable[int]) -> list[dict[str, Any]] | None:
        """Return accuracy after each of these numbers of gradient steps over all restarts; None if nothing counts them.

        Each has its ``steps``, the accuracy by ``any`` image up to there, and by the ``last`` alone, None where nothing says.
        """
        if self.broken is None:
            return None
        any_image = {k: float((self.broken > k).mean()) for k in sorted(set(lengths))}
        return [{"steps": k, "any": accuracy, "last": self.last_accuracy(k)} for k, accuracy in any_image.items()]


def evaluate(
    network: Network,
    examples: Examples,
    attack: config.Attack,
    weights: Weights,
    seed: int,
    stream: str,
    sources: SourceNetworks = MappingProxyType({}),
    complete: bool = False,
    most: int | None = None,
) -> Evaluated:
    """Every example under ``attack``.

    Args:
        network: the attacked network.
        examples: the N examples.
        attack: which attack, and its settings.
        weights: weights of the heads in the loss that the attack maximises.
        seed: the trial's seed.
        stream: name of the random stream. Each batch has its own generator, shared by the attack and the networks' modules, so
            that skipping an example in one batch changes no random number in another.
        sources: networks that a transfer attack may use, by trial and checkpoint.
        complete: whether every example is attacked to the end and every head is ranked. If not, an example is attacked until
            it is broken; accuracy, ``broken`` and ``distance`` are the same either way.
        most: of the draws of a stochastic network whose mean is its prediction of the images, from random streams of their
            own; None for all that the network averages.
    """
    training = network.training
    network.eval()
    draws = min(averaged(network), most or averaged(network)) if is_stochastic(network) else 0
    networks = [network, *(source.network for source in sources.values())]
    before = [other.draw_from(None) for other in networks]
    parts = []
    try:
        for i, (x, y) in enumerate(evaluation_batches(examples, BATCH)):
            batch_generator = generator(seed, f"{stream}/{i}", y.device)
            for other in networks:
                other.draw_from(batch_generator)
            found = run_attack(attack, network, x, y, weights, batch_generator, sources, complete=complete)
            if draws:
                network.draw_from(generator(seed, f"{stream}/{i}/draws", y.device))
            parts.append(_judged(network, found, y, attack, complete, draws))
    finally:
        network.train(training)
        for other, drew in zip(networks, before, strict=True):
            other.draw_from(drew)
    return _joined(parts, draws)


class _Part(NamedTuple):
    """The same as :class:`Evaluated` of a batch of B examples, on the device.

    ``drawn``: numbers of draws, and whether the averaged prediction is right, (2, B).
    """

    ranks: list[Tensor]
    distance: Tensor | None = None
    broken: Tensor | None = None
    last: Mapping[int, Tensor] | None = None
    drawn: Tensor | None = None


def _joined(parts: Sequence[_Part], draws: int) -> Evaluated:
    """Join the batches of an evaluation."""
    heads_found, distances, broken, ends, drawn = zip(*parts, strict=True)
    ranks = {str(i) if i else "final": _numbers(head, np.uint16) for i, head in enumerate(zip(*heads_found, strict=True))}
    last = None
    if ends[0] is not None:
        last = {k: np.concatenate([of_batch[k].cpu().numpy() for of_batch in ends], 1).astype(np.uint16) for k in ends[0]}
    single, averaged = torch.cat(drawn, 1).double().mean(1).tolist() if draws else (0.0, 0.0)
    return Evaluated(
        ranks,
        _numbers(distances, np.float32) if distances[0] is not None else None,
        _numbers(broken, np.uint16) if broken[0] is not None else None,
        last,
        Drawn(single / draws, averaged, draws) if draws else None,
    )


def _judged(network: Network, found: Attacked, y: Tensor, attack: config.Attack, complete: bool, draws: int) -> _Part:
    """Judge the images that an attack returned for one batch, by the mean of so many draws where there are any."""
    predictions, drawn = _predictions(network, found.images, y, draws)
    ranked = [rank(prediction, y) for prediction in predictions[: None if complete else 1]]
    part = _Part(ranked, found.distance, drawn=drawn)
    if found.broken is None:
        return part
    ranked[0] = torch.where(found.broken < NEVER, ranked[0].clamp(min=1), ranked[0])
    steps = attack.gradient_steps
    if steps is None:
        return part
    # Rounding depends on the batch: a prediction may flip between the attack's last forward pass and this one.
    broken = torch.where((ranked[0] > 0) & (found.broken == NEVER), min(steps, NEVER - 1), found.broken)
    return part._replace(broken=broken, last=found.ranks)


def _predictions(network: Network, images: Tensor, y: Tensor, draws: int) -> tuple[list[Tensor], Tensor | None]:
    """Predict images; return each head's logits, or with ``draws`` its mean softmax, each (B, classes).

    Also with draws: in how many of them each image is right, and whether the mean is, int64 (2, B).
    """
    with torch.no_grad():
        if not draws:
            return [*heads(network(images))], None
        single, sums = torch.zeros_like(y), list[Tensor]()
        for _ in range(draws):
            outputs = heads(network(images))
            single = single + (rank(outputs[0], y) == 0)
            chances = [logits.double().softmax(1) for logits in outputs]
            sums = [a + b for a, b in zip(sums, chances, strict=True)] if sums else chances
    return sums, torch.stack([single, (rank(sums[0], y) == 0).long()])


def _numbers(parts: Iterable[Tensor], dtype: type[np.generic]) -> NDArray[Any]:
    return torch.cat(list(parts)).cpu().numpy().astype(dtype)
