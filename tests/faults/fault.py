"""Seeded faults, from the TOML files in this folder: a change of the product's code, and the tests that must fail for it."""

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
    """One fault in the product's code.

    ``meaning``: a description. ``was``: a piece of code that occurs exactly once in the product, so that files may be moved and
    renamed. ``now``: its replacement. ``tests``: names of the test files that kill the fault, without folder and ending.
    ``select``: which of their tests, as ``pytest -k`` takes it.
    """

    name: str
    meaning: str
    was: str
    now: str
    tests: tuple[str, ...]
    select: str = ""


def faults() -> list[Fault]:
    """Read every fault, in the order of the files' names and of the faults in them."""
    return [fault for file in sorted(Path(__file__).parent.glob("*.toml")) for fault in _read(file)]


def _read(file: Path) -> Iterator[Fault]:
    for name, fields in tomllib.loads(file.read_text(encoding="utf-8")).items():
        yield Fault(name, **{**fields, "tests": tuple(fields["tests"])})


def product_files(root: Path) -> dict[Path, str]:
    """Read the texts of the product's Python files under ``root``."""
    files = (file for package in PACKAGES for file in sorted((root / package).rglob("*.py")))
    return {file: file.read_text(encoding="utf-8") for file in files}


def place(fault: Fault, files: dict[Path, str]) -> Path:
    """Find the file in which a fault is seeded.

    Raises:
        ValueError: the fault's code does not occur exactly once.
    """
    found = [file for file, text in files.items() for _ in range(text.count(fault.was))]
    if len(found) != 1:
        raise ValueError(f"{fault.name}: must occur once in the product, and occurs {len(found)} times: {fault.was!r}")
    return found[0]


def files_of(fault: Fault, root: Path) -> list[Path]:
    """Find the files of a fault's tests under ``root``, in any folder of tests that start no cluster.

    Raises:
        ValueError: there is no test file of a name.
    """
    files: list[Path] = []
    for stem in fault.tests:
        found = sorted(file for file in (root / "tests").rglob(f"{stem}.py") if SLOW not in file.parent.parts)
        if not found:
            raise ValueError(f"{fault.name}: there is no test file {stem}.py")
        files += found
    return files
