"""Damage to files of a storage, and where each kind of file is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

#: The tables and checkpoints of a trial.
TABLES = ("trial", "evaluations", "outcomes", "measures", "weights", "state")

#: A file of each kind, as a pattern below the storage.
PATTERNS = {table: f"trials/*/{table}-*" for table in TABLES} | {
    "segment": "segments/*",
    "manifest": "studies/**/*.json",
    "identity": "identity",
}


def flipped(data: bytes, seed: int = 0) -> bytes:
    """Return the bytes with one bit flipped."""
    generator = np.random.default_rng(seed)
    at = int(generator.integers(len(data)))
    return data[:at] + bytes([data[at] ^ 1 << int(generator.integers(8))]) + data[at + 1 :]


#: Kinds of damage.
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "flipped": flipped,
}


def files(storage: Path, kind: str) -> list[Path]:
    """List the files of a kind."""
    return sorted(storage.glob(PATTERNS[kind]))


def damage(file: Path, how: str = "flipped") -> Path:
    """Damage a file, and return it."""
    file.write_bytes(DAMAGE[how](file.read_bytes()))
    return file
