"""What a storage consists of: every file with its size, what it holds, and the trial that it belongs to. Reads no file."""

import posixpath
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pyarrow import fs

from analysis.record.files import RecordFiles
from analysis.record.names import FileName
from analysis.record.schema import SEGMENTS_FOLDER, STUDIES_FOLDER, TRIALS_FOLDER


class Kind(StrEnum):
    """What a file of a storage holds."""

    WEIGHTS = "weights"
    STATES = "states"
    OUTCOMES = "outcomes"
    EVALUATIONS = "evaluations"
    MEASURES = "measures"
    TRIALS = "trials"  # their rows, with every epoch
    SEGMENTS = "segments"
    MANIFESTS = "manifests"
    VIEWS = "views"  # of MLflow and Optuna
    TEMPORARY = "temporary"  # being written, or left by a writer that was killed
    OTHER = "other"


_OF_TABLE = {
    "weights": Kind.WEIGHTS,
    "state": Kind.STATES,
    "outcomes": Kind.OUTCOMES,
    "evaluations": Kind.EVALUATIONS,
    "measures": Kind.MEASURES,
    "trial": Kind.TRIALS,
}

_OF_FOLDER = {SEGMENTS_FOLDER: Kind.SEGMENTS, STUDIES_FOLDER: Kind.MANIFESTS}

#: How the names begin of what MLflow and Optuna keep in a storage.
_VIEWS = ("mlflow", "optuna.journal")


@dataclass(frozen=True)
class StoredFile:
    """A file of a storage.

    Attributes:
        path: below the storage's root.
        size: in bytes.
        modified: when it was written, in seconds since 1970.
        kind: what it holds.
        trial: the key of the trial that it belongs to; None for other files.
        name: the parsed name of a trial's file; None for other files.
    """

    path: str
    size: int
    modified: float
    kind: Kind
    trial: str | None = None
    name: FileName | None = None


def inventory(files: RecordFiles) -> list[StoredFile]:
    """List every file of a storage."""
    below = len(files.root.rstrip("/")) + 1
    found = files.entries("", recursive=True)
    return [_stored(info.path[below:], info) for info in found if info.type == fs.FileType.File]


def sizes(files: Iterable[StoredFile]) -> dict[str, int]:
    """Add up the bytes of files by kind, the largest first."""
    counted: Counter[str] = Counter()
    for file in files:
        counted[file.kind.value] += file.size
    return dict(counted.most_common())


def _stored(path: str, info: fs.FileInfo) -> StoredFile:
    size, modified = info.size or 0, (info.mtime_ns or 0) / 1e9
    folder, _, rest = path.partition("/")
    base = posixpath.basename(path)
    if path.startswith("token-") or any(part.startswith(".") and part.endswith(".tmp") for part in path.split("/")):
        return StoredFile(path, size, modified, Kind.TEMPORARY)
    if folder == TRIALS_FOLDER and rest.count("/") == 1:
        name = FileName.parse(base)
        kind = _OF_TABLE.get(name.table, Kind.OTHER) if name else Kind.OTHER
        return StoredFile(path, size, modified, kind, rest.partition("/")[0], name)
    views = Kind.VIEWS if path.startswith(_VIEWS) else Kind.OTHER
    return StoredFile(path, size, modified, _OF_FOLDER.get(folder, views))
