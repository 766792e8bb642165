"""What a storage consists of: every file with its size, what it holds, and the trial that it belongs to. Reads no file."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from pyarrow import fs

from analysis.record.files import RecordFiles
from analysis.record.names import FileName
from analysis.record.schema import ENVIRONMENTS_FOLDER, SEGMENTS_FOLDER, STUDIES_FOLDER, TRIALS_FOLDER


class Kind(StrEnum):
    """What a file of a storage holds."""

    WEIGHTS = "weights"
    STATES = "states"
    OUTCOMES = "outcomes"
    EVALUATIONS = "evaluations"
    MEASURES = "measures"
    FAILURES = "failures"
    TRIALS = "trials"  # their rows, with every epoch
    SEGMENTS = "segments"
    MANIFESTS = "manifests"
    ENVIRONMENTS = "environments"  # installed packages, and differences to a commit
    VIEWS = "views"  # of MLflow and Optuna
    TEMPORARY = "temporary"  # being written, or left by a writer that was killed
    OTHER = "other"


_OF_TABLE = {
    "weights": Kind.WEIGHTS,
    "state": Kind.STATES,
    "outcomes": Kind.OUTCOMES,
    "evaluations": Kind.EVALUATIONS,
    "measures": Kind.MEASURES,
    "failures": Kind.FAILURES,
    "trial": Kind.TRIALS,
}

_OF_FOLDER = {SEGMENTS_FOLDER: Kind.SEGMENTS, STUDIES_FOLDER: Kind.MANIFESTS, ENVIRONMENTS_FOLDER: Kind.ENVIRONMENTS}

#: How the names begin of what MLflow and Optuna keep in a storage.
_VIEWS = ("mlflow", "optuna.journal")

#: A hidden file or folder of a path that is temporary.
_TEMPORARY = re.compile(r"(?:^|/)\.[^/]*\.tmp(?:/|$)")


class StoredFile(NamedTuple):
    """A file of a storage.

    Attributes:
        path: below the storage's root.
        size: in bytes.
        modified: when it was written, in nanoseconds since 1970.
        kind: what it holds.
        trial: the key of the trial that it belongs to; None for other files.
    """

    path: str
    size: int
    modified: int
    kind: Kind
    trial: str | None = None

    @property
    def name(self) -> FileName | None:
        """The parsed name of a trial's file; None for other files."""
        return FileName.parse(posixpath.basename(self.path)) if self.trial else None


def inventory(files: RecordFiles) -> list[StoredFile]:
    """List every file of a storage, in no particular order."""
    below = len(files.path(""))
    found = files.system.get_file_info(fs.FileSelector(files.root, recursive=True))
    return [_stored(info.path[below:], info) for info in found if info.type == fs.FileType.File]


def sizes(files: Iterable[StoredFile]) -> dict[str, int]:
    """Add up the bytes of files by kind, the largest first."""
    counted: Counter[str] = Counter()
    for file in files:
        counted[file.kind.value] += file.size
    return dict(counted.most_common())


def _stored(path: str, info: fs.FileInfo) -> StoredFile:
    size, modified = info.size or 0, info.mtime_ns or 0
    if (".tmp" in path and _TEMPORARY.search(path)) or path.startswith("token-"):
        return StoredFile(path, size, modified, Kind.TEMPORARY)
    top, _, rest = path.partition("/")
    trial, _, base = rest.partition("/")
    if top == TRIALS_FOLDER and base and "/" not in base:
        return StoredFile(path, size, modified, _OF_TABLE.get(base.partition("-")[0], Kind.OTHER), trial)
    if top in _OF_FOLDER:
        return StoredFile(path, size, modified, _OF_FOLDER[top])
    return StoredFile(path, size, modified, Kind.VIEWS if path.startswith(_VIEWS) else Kind.OTHER)
