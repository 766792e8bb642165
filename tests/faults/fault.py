"""Seeded faults, from the TOML files beside this one: what is done to a copy of the product, and which tests must notice it."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

#: The packages that faults are seeded in.
PACKAGES = ("orchestrator", "trainables", "search_spaces", "analysis")

#: The folder of tests that start clusters and whole commands.
SLOW = "integration"


class Fault(NamedTuple):
    """One wrong piece of code.

    ``meaning``: what it stands for. ``was``: a piece of the product's code, which says where the fault is seeded because it
    occurs there once and nowhere else: files may be moved and renamed. ``now``: what takes its place. ``tests``: names of the
    test files that kill it, without folder and ending; ``select``: which of their tests, as ``pytest -k`` has it.
    """

    name: str
    meaning: str
    was: str
    now: str
    tests: tuple[str, ...]
    select: str = ""


def faults() -> list[Fault]:
    """Every seeded fault, in the order of the files' names and of the faults in them."""
    return [fault for file in sorted(Path(__file__).parent.glob("*.toml")) for fault in _read(file)]


def _read(file: Path) -> Iterator[Fault]:
    for name, fields in tomllib.loads(file.read_text(encoding="utf-8")).items():
        yield Fault(name, **{**fields, "tests": tuple(fields["tests"])})


def product_files(root: Path) -> dict[Path, str]:
    """The texts of the product's Python files under ``root``."""
    files = (file for package in PACKAGES for file in sorted((root / package).rglob("*.py")))
    return {file: file.read_text(encoding="utf-8") for file in files}


def place(fault: Fault, files: dict[Path, str]) -> Path:
    """The file that the fault is seeded in.

    Raises:
        ValueError: its code does not occur exactly once.
    """
    found = [file for file, text in files.items() for _ in range(text.count(fault.was))]
    if len(found) != 1:
        raise ValueError(f"{fault.name}: must occur once in the product, and occurs {len(found)} times: {fault.was!r}")
    return found[0]


def files_of(fault: Fault, root: Path) -> list[Path]:
    """The files of the fault's tests under ``root``, in whichever folder of tests that starts no cluster.

    Raises:
        ValueError: there is none of such a name.
    """
    files: list[Path] = []
    for stem in fault.tests:
        found = sorted(file for file in (root / "tests").rglob(f"{stem}.py") if SLOW not in file.parent.parts)
        if not found:
            raise ValueError(f"{fault.name}: there is no test file {stem}.py")
        files += found
    return files
