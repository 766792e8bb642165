"""Names that the functions share: their defaults, and the words that their arguments allow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

#: Where everything is kept unless another place is given: a folder below the current one.
STORAGE = "./advsweep-results"

ProfileName = Literal["paper", "short", "demo"]
CheckpointName = Literal["best", "last"]

#: Studies: one name, alias or pattern such as ``cifs/*``, or several.
Names = str | Sequence[str]

Files = Sequence[Path | str]


def as_names(names: Names) -> tuple[str, ...]:
    """One name or several, as several."""
    return (names,) if isinstance(names, str) else tuple(names)


def as_paths(files: Files) -> tuple[Path, ...]:
    """Files by their paths."""
    return tuple(map(Path, files))
