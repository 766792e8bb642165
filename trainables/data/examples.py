"""Labelled images in memory, the functions that load them, and the error for missing files."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class DataNotFound(FileNotFoundError):
    """A data set cannot be read: its files are missing or damaged; the message is one line and says how to get them."""


@dataclass(frozen=True)
class Examples:
    """Labelled images: ``images`` uint8 (N, channels, size, size) and ``labels`` int64 (N,), both on the training device.

    ``streamed``: whether the images are in host memory instead, and are copied to the labels' device batch by batch.
    """

    images: Tensor
    labels: Tensor
    streamed: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Tensor) -> "Examples":
        """Return the examples at ``indices``, int64 (M,)."""
        return Examples(self.images[indices], self.labels[indices])

    @property
    def device(self) -> torch.device:
        """The device of the batches."""
        return self.labels.device

    def to(self, device: torch.device | str, streamed: bool = False) -> "Examples":
        """Return these examples, which are in host memory, for use on ``device``: copied to it at once, or ``streamed``."""
        return Examples(self.images if streamed else self.images.to(device), self.labels.to(device), streamed)

    def batches(self, order: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (B, channels, size, size), uint8, and labels (B,) of the examples in ``order``, on the labels' device.

        ``order``: indices, int64 (M,) in host memory. They are copied to the device before the first batch, so that the host
        does not wait for the GPU between batches.
        """
        there = order.to(self.device)
        places = order if self.streamed else there
        labels = self.labels[there]
        for indices, some in zip(torch.split(places, batch_size), torch.split(labels, batch_size), strict=True):
            yield self._send(indices) if self.streamed else self.images[indices], some

    def _send(self, indices: Tensor) -> Tensor:
        """Start copying the images at ``indices`` to the device.

        Only copies from pinned memory run while the host gathers the next batch. Torch reuses such memory once its copy is
        done.
        """
        pinned = self.device.type == "cuda"
        batch = torch.empty((len(indices), *self.images.shape[1:]), dtype=self.images.dtype, pin_memory=pinned)
        torch.index_select(self.images, 0, indices, out=batch)
        return batch.to(self.device, non_blocking=True)


class DataSource(NamedTuple):
    """The functions that load a data set.

    Attributes:
        load: takes ``(name, data_dir, download)`` and returns training and test examples on the CPU; raises
            :class:`DataNotFound`.
        exists: takes ``(name, data_dir)`` and returns whether the files exist, without reading them; None without files.
    """

    load: Callable[[str, str, bool], tuple[Examples, Examples]]
    exists: Callable[[str, str], bool] | None = None


def checksum(train: Examples, test: Examples) -> str:
    """Compute the SHA-256, 64 hexadecimal digits, of a data set in host memory.

    It is of the training images, their labels, the test images and their labels, in C order: a byte for each value of an image
    and eight for a label, the lowest first.
    """
    found = hashlib.sha256()
    for part in (train, test):
        found.update(part.images.contiguous().numpy().data)
        found.update(part.labels.contiguous().numpy().astype("<i8", copy=False).data)
    return found.hexdigest()
