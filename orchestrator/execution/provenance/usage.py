"""What a training uses of its machine: time, memory and the device's share of it, sampled in the worker."""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

#: Seconds between two samples within an epoch; there is one at each epoch's end besides.
EVERY = 1.0

_STATM = Path("/proc/self/statm")


class Usage:
    """Adds up what a training uses, over all processes that have worked on it.

    Args:
        device: that it trains on.
        before: the trial's row with the columns of :meth:`columns` of the processes before; empty without one.
        began: when this process began to work on the trial, by ``time.monotonic``.
    """

    def __init__(self, device: torch.device, before: Mapping[str, Any], began: float) -> None:
        self._device, self._before, self._began = device, before, began
        self._peak: int | None = None
        self._cpu = self._sampled = 0.0  # seconds of the process's threads, and of the epochs
        self._shares: list[float] = []  # how busy a GPU was
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Sample inside the block, which is an epoch; a thread of its own does, and touches no number of the training."""
        over = threading.Event()

        def sample() -> None:
            while not over.wait(EVERY):
                self._sample()

        thread = threading.Thread(target=sample, name="usage", daemon=True)
        began, cpu = time.monotonic(), time.process_time()
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._sample()
            self._sampled += time.monotonic() - began
            self._cpu += time.process_time() - cpu

    def _sample(self) -> None:
        if self._device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(self._device)
            if (share := _utilisation(self._device)) is not None:
                self._shares.append(share)
        elif (resident := resident_bytes()) is not None:
            self._peak = max(self._peak or 0, resident)

    def columns(self) -> dict[str, Any]:
        """Return the columns ``wall_seconds``, ``peak_memory`` and ``utilisation`` as they are now."""
        wall, earlier = time.monotonic() - self._began, self._before.get("wall_seconds") or 0.0
        parts = [(self._share(), wall), (self._before.get("utilisation"), earlier)]
        known = [(share, seconds) for share, seconds in parts if share is not None]
        whole = sum(seconds for _, seconds in known)
        peaks = [peak for peak in (self._peak, self._before.get("peak_memory")) if peak is not None]
        return {
            "wall_seconds": earlier + wall,
            "peak_memory": max(peaks, default=None),
            "utilisation": sum(share * seconds for share, seconds in known) / whole if whole else None,
        }

    def _share(self) -> float | None:
        """Return how busy the device was in this process's epochs, in [0, 1]; None before the first or where nothing says."""
        if self._device.type == "cuda":
            return sum(self._shares) / len(self._shares) if self._shares else None
        return min(1.0, self._cpu / (self._sampled * torch.get_num_threads())) if self._sampled else None


def resident_bytes() -> int | None:
    """Return the process's resident memory; None where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def _utilisation(device: torch.device) -> float | None:
    """Return the share of the last moment in which a GPU was busy, for whichever process; None without NVIDIA's library."""
    try:
        return torch.cuda.utilization(device) / 100
    except Exception:  # whether the library is missing, too old or refuses
        return None
