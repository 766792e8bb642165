"""Batches of training epochs and of evaluations: float images in [0, 1] with their labels."""

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
    """Yield one epoch of images (B, channels, size, size) and labels (B,), shuffled and augmented.

    The streams ``order`` and ``augment`` of ``generators`` decide the order and the augmentation. The last batch may be
    smaller. If it would hold a single example, that example is skipped in this epoch, since batch normalisation needs a
    variance.
    """
    order = torch.randperm(len(examples), generator=generators["order"])
    for images, labels in examples.batches(order[: _used(len(examples), batch_size)], batch_size):
        yield augment(images, data.crop, data.flip, generators["augment"]).float() / 255, labels


def batches_per_epoch(n: int, batch_size: int) -> int:
    """Count the batches that :func:`training_batches` makes of ``n`` examples."""
    return math.ceil(_used(n, batch_size) / batch_size)


def _used(n: int, batch_size: int) -> int:
    """Count the examples that an epoch trains on, out of ``n``."""
    return n - 1 if n % batch_size == 1 < batch_size else n


def evaluation_batches(examples: Examples, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every example once, in order, without augmentation: images (B, channels, size, size) and labels (B,)."""
    for images, labels in examples.batches(torch.arange(len(examples)), batch_size):
        yield images.float() / 255, labels
