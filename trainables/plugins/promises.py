"""What plugins promise, as checks that say which promise is broken.

:mod:`trainables.plugins.preflight` makes them on a batch of noise before a sweep, ``guard`` around every attack, and the
contract tests of :mod:`advsweep.testing` on trained networks.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.ball import length
from trainables.attacks.building_blocks.surrogate import draws
from trainables.config.terms.registry import BadPlugin
from trainables.data import Examples
from trainables.joint import training_weights
from trainables.models import Network
from trainables.objectives import Loss
from trainables.outputs import Outputs, heads


def check(holds: bool, reason: str) -> None:
    """Check that something holds.

    Raises:
        BadPlugin: it does not, for this ``reason``. So does every function of this file.
    """
    if not holds:
        raise BadPlugin(reason)


def check_restored(spec: config.Spec) -> None:
    """Check that a specification can be hashed and read from the record: what is lost there has no place in a plan."""
    hash(spec)
    restored = type(spec).model_validate_json(spec.model_dump_json())
    check(restored == spec, "a configuration must come back from JSON as it was")


def check_positions(model: config.Model, network: Network) -> None:
    """Check that a network has the positions that its configuration knows, in the same order."""
    there, said = list(network.channels), model.positions()
    check(there == said, f"channels has the positions {', '.join(there)}, and blocks says {', '.join(said)}")


def check_weights(module: config.Module) -> None:
    """Check that a module weighs each prediction: none below 0, one above."""
    names, weights = config.heads(module), training_weights(module)
    check(len(weights) == len(names), f"head_weights must be one for each of {', '.join(names)}, and are {weights}")
    check(min(weights) >= 0 < max(weights), f"head_weights must be at least 0, and one of them above; they are {weights}")


def check_outputs(module: config.Module, outputs: Outputs, n: int, classes: int) -> None:
    """Check that a network with ``module`` predicts ``n`` examples, and that the module predicts if it says so."""
    names, shapes = config.heads(module), [tuple(logits.shape) for logits in heads(outputs)]
    check(shapes == [(n, classes)] * len(names), f"logits of {', '.join(names)} must be {(n, classes)}: {shapes}")
    check(all(bool(torch.isfinite(logits).all()) for logits in heads(outputs)), "logits are not finite")


def check_draws(module: config.Module, network: Network) -> None:
    """Check that a module's configuration and the module say the same of its evaluation: whether it draws."""
    said, done = module.draws, draws(network.eval())
    check(said == done, f"draws is {said} in its configuration, and {done} in the network")


def check_loss(loss: Loss, n: int, classes: int) -> None:
    """Check that an objective has a finite loss for each of ``n`` examples, and the predictions that it was taken from."""
    value, logits = loss.value, tuple(loss.outputs.logits.shape)
    check(tuple(value.shape) == (n,), f"the loss must be one number for each of {n} examples: {value.shape}")
    check(bool(torch.isfinite(value).all()), "the loss is not finite")
    check(logits == (n, classes), f"the outputs that come with the loss must have logits {(n, classes)}: {logits}")


def check_images(spec: Any, x: Tensor, images: Any, room: float) -> None:
    """Check that an attack made images of x's shape, in [0, 1], and within its ``eps`` if it has one.

    ``room``: how far beyond ``eps`` rounding may lead.
    """
    if not isinstance(images, Tensor) or images.shape != x.shape:
        shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise BadPlugin(f"must return images of the shape {tuple(x.shape)}, and returned {shape}")
    check(bool(((images >= 0) & (images <= 1)).all()), "must return images in [0, 1]; a pixel is not")
    if (eps := getattr(spec, "eps", None)) is not None:
        farthest = float(length((images - x).detach(), getattr(spec, "norm", "linf")).max())
        check(farthest <= eps + room, f"must stay within eps = {eps:g}, and went to {farthest:g}")


def check_examples(which: str, found: Examples, info: config.DatasetInfo, n: int) -> None:
    """Check that a data set has ``n`` images of the shape ``info``, and labels; ``which``: the training or the test ones."""
    shape, expected = tuple(found.images.shape), (n, info.channels, info.size, info.size)
    there = f"{shape} of {found.images.dtype}"
    right = shape == expected and found.images.dtype == torch.uint8
    check(right, f"{which} images must be {expected} of torch.uint8, and are {there}")
    labels = found.labels
    right = tuple(labels.shape) == (n,) and labels.dtype == torch.int64
    right = right and int(labels.min()) >= 0 and int(labels.max()) < info.classes
    check(right, f"{which} labels must be {(n,)} of torch.int64, from 0 to {info.classes - 1}")


@contextmanager
def named(plugin: str) -> Iterator[None]:
    """Say whose promise it is that is broken meanwhile."""
    try:
        yield
    except BadPlugin as error:
        raise BadPlugin(f"{plugin}: {error}") from None


@contextmanager
def untouched(network: nn.Module, *tensors: Tensor) -> Iterator[None]:
    """Check that what happens meanwhile leaves the network, and the ``tensors`` that it is given, as they were."""
    before, numbers = _flags(network, tensors), [tensor.clone() for tensor in _numbers(network)]
    copies = [tensor.clone() for tensor in tensors]
    yield
    same = _flags(network, tensors) == before and all(map(torch.equal, _numbers(network), numbers))
    check(same, "must leave the network's weights, gradients and mode as they were")
    check(all(map(torch.equal, tensors, copies)), "must leave the images and labels that it is given as they were")


def _numbers(network: nn.Module) -> list[Tensor]:
    return [*network.state_dict().values(), *(p.grad for p in network.parameters() if p.grad is not None)]


def _flags(network: nn.Module, tensors: tuple[Tensor, ...]) -> list[Any]:
    modes = [(module.training, getattr(module, "track_running_stats", None)) for module in network.modules()]
    parameters = [(p.requires_grad, p.grad is None) for p in network.parameters()]
    return [modes, parameters, [tensor.requires_grad for tensor in tensors], torch.is_grad_enabled()]


#: The state of each library's global generator, to compare.
_GENERATORS: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.get_rng_state().tolist(),
    "numpy": lambda: [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
    "random": random.getstate,
}


@contextmanager
def global_generators_untouched(who: str = "", *, of: Sequence[str] = ("torch",)) -> Iterator[None]:
    """Check that nothing is drawn meanwhile but from generators that are given; ``who``: begins the message.

    ``of``: whose global generators. Of torch alone by default, because libraries draw from others while they are imported.
    """
    before, torchs = {name: _GENERATORS[name]() for name in of}, torch.get_rng_state()
    yield
    drawn = [name for name in of if _GENERATORS[name]() != before[name]]
    torch.set_rng_state(torchs)
    check(not drawn, f"{who}must draw from the generator that is given, and drew from {', '.join(drawn)}'s global one")
