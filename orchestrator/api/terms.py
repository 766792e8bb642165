"""Defaults and types of arguments that several functions have."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

#: The default storage: a folder below the current one.
STORAGE = "./advsweep-results"

ProfileName = Literal["paper", "short", "demo"]
CheckpointName = Literal["best", "last"]

#: Studies by name, alias or pattern such as ``cifs/*``: one or several.
Names = str | Sequence[str]

Files = Sequence[Path | str]


def as_names(names: Names) -> tuple[str, ...]:
    """Make a tuple of one name or several."""
    return (names,) if isinstance(names, str) else tuple(names)


def as_paths(files: Files) -> tuple[Path, ...]:
    """Make paths of the names of files."""
    return tuple(map(Path, files))


def storage_option(storage: str) -> str:
    """Write the option ``--storage`` for a command that is shown to the user; "" for the default storage."""
    return "" if storage == STORAGE else f" --storage {shlex.quote(str(storage))}"
