"""What is made once in a run of pytest, however many processes it has: trained networks, and the storage of a sweep."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

_folder: Path | None = None


def share_in(folder: Path) -> None:
    """Keep what is shared in this folder."""
    global _folder
    _folder = folder


def once(name: str, make: Callable[[Path], object]) -> Path:
    """A folder that ``make`` filled, in whichever process asked first; the others wait until it is done.

    It belongs to all tests: none may change it.
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
    """A copy of what ``train`` returned when it was called once: a network's numbers by their names."""
    file = once(name, lambda folder: torch.save(train(), folder / "weights.pt")) / "weights.pt"
    weights: dict[str, Tensor] = torch.load(file, weights_only=True)
    return weights
