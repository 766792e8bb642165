"""Batches of an epoch: float images in [0, 1] with their labels."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from trainables import config
from trainables.data.augment import augment
from trainables.data.examples import Examples
from trainables.rng import Generators


def training_batches(
    examples: Examples, data: config.Data, batch_size: int, generators: Generators
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of images (B, channels, size, size) and labels (B,): shuffled (stream ``order``), augmented (``augment``).

    The last batch may be smaller. Where it would hold one example of several, that one is left out of this epoch: batch
    normalisation has no variance to divide by there.
    """
    order = torch.randperm(len(examples), generator=generators["order"])
    for images, labels in examples.batches(order[: _used(len(examples), batch_size)], batch_size):
        yield augment(images, data.crop, data.flip, generators["augment"]).float() / 255, labels


def batches_per_epoch(n: int, batch_size: int) -> int:
    """How many batches :func:`training_batches` makes of ``n`` examples."""
    return math.ceil(_used(n, batch_size) / batch_size)


def _used(n: int, batch_size: int) -> int:
    """How many of ``n`` examples an epoch trains on."""
    return n - 1 if n % batch_size == 1 < batch_size else n


def evaluation_batches(examples: Examples, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Every example once, in order, as it is: images (B, channels, size, size), labels (B,)."""
    for images, labels in examples.batches(torch.arange(len(examples)), batch_size):
        yield images.float() / 255, labels
