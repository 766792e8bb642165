"""Labelled images in memory, and where they cannot be found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class DataNotFound(FileNotFoundError):
    """A data set is not in its folder; the message is one line and says how to get it."""


@dataclass(frozen=True)
class Examples:
    """``images`` uint8 (N, channels, size, size) and ``labels`` int64 (N,), both on the device that works on them.

    ``streamed``: the images are in host memory instead, and go to the labels' device batch by batch.
    """

    images: Tensor
    labels: Tensor
    streamed: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Tensor) -> "Examples":
        """The examples at ``indices``, int64 (M,)."""
        return Examples(self.images[indices], self.labels[indices])

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.labels.device

    def to(self, device: torch.device | str, streamed: bool = False) -> "Examples":
        """The same examples, in host memory, for ``device``: there at once, or ``streamed`` to it."""
        return Examples(self.images if streamed else self.images.to(device), self.labels.to(device), streamed)

    def batches(self, order: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (B, channels, size, size), uint8, and labels (B,) of the examples in ``order``, int64 (M,) in host memory.

        Both on the labels' device. The order is sent there before the first batch, so the host waits for no GPU in between.
        """
        there = order.to(self.device)
        places = order if self.streamed else there
        labels = self.labels[there]
        for indices, some in zip(torch.split(places, batch_size), torch.split(labels, batch_size), strict=True):
            yield self._send(indices) if self.streamed else self.images[indices], some

    def _send(self, indices: Tensor) -> Tensor:
        """The images at ``indices`` on their way to the device.

        Only a copy from pinned memory leaves the host free to gather the next batch meanwhile. Torch keeps such memory and
        uses it again once the copy from it is done.
        """
        pinned = self.device.type == "cuda"
        batch = torch.empty((len(indices), *self.images.shape[1:]), dtype=self.images.dtype, pin_memory=pinned)
        torch.index_select(self.images, 0, indices, out=batch)
        return batch.to(self.device, non_blocking=True)


class DataSource(NamedTuple):
    """What reads a data set.

    Attributes:
        load: ``(name, data_dir, download) -> (train, test)``, on the CPU; raises :class:`DataNotFound`.
        exists: ``(name, data_dir)`` to whether its files are there, without reading them; None where there are no files.
    """

    load: Callable[[str, str, bool], tuple[Examples, Examples]]
    exists: Callable[[str, str], bool] | None = None
