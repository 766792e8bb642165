"""Trained networks and storages that are made once in a run of pytest and shared by its processes."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

_folder: Path | None = None


def share_in(folder: Path) -> None:
    """Set the folder of shared files."""
    global _folder
    _folder = folder


def once(name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that ``make`` fills in the first process that asks; other processes wait until it is done.

    All tests share it, so none may change it.
    """
    assert _folder is not None, "tests/conftest.py says where"
    folder = _folder / "shared" / name
    folder.mkdir(parents=True, exist_ok=True)
    done = folder.with_name(f"{name}.done")
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder


def weights_once(name: str, train: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return a copy of the weights, by name, that ``train`` returned when it was called once."""
    file = once(name, lambda folder: torch.save(train(), folder / "weights.pt")) / "weights.pt"
    weights: dict[str, Tensor] = torch.load(file, weights_only=True)
    return weights
