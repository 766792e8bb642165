"""What a storage consists of: every file with its size, what it holds, and the trial that it belongs to, all by the names."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

from pyarrow import fs

from analysis.record.files import RecordFiles
from analysis.record.names import FileName
from analysis.record.schema import (
    DRIVERS_FOLDER,
    ENVIRONMENTS_FOLDER,
    IDENTITY_FILE,
    SEGMENTS_FOLDER,
    STUDIES_FOLDER,
    TRIALS_FOLDER,
)
from orchestrator.record.environments import TEXT
from orchestrator.record.files import ASIDE, FOLDERS, TEMPORARY, TOKEN


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

#: How the names begin of what MLflow and Optuna keep in a storage.
_VIEWS = ("mlflow", "optuna.journal")

#: A part of a path that is temporary.
_TEMPORARY = re.compile(rf"(?:^|/){TEMPORARY.pattern}(?:/|$)")

#: The name of a manifest below the storage's root, and of what a driver leaves; other files of these folders are not ours.
_MANIFEST = re.compile(rf"{STUDIES_FOLDER}/[^/.][^/]*/[^/.][^/]*/[^/.][^/]*\.json(?:{re.escape(ASIDE)})?")
_DRIVER = re.compile(r"\d{13}-[0-9a-f]{8}\.(?:json|lock)")
_IDENTITY = re.compile(rb"[0-9a-f]{32} [0-9a-f]{16}")


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


def is_storage(files: RecordFiles) -> bool:
    """Check whether a folder is a storage of advsweep, or so empty that it may become one.

    One is known by its identity, a driver, a manifest or a trial's file. Folders of these names alone prove nothing.
    """
    with suppress(OSError):
        if _IDENTITY.fullmatch(files.read(IDENTITY_FILE)):
            return True
    if any(_DRIVER.fullmatch(info.base_name) for info in files.entries(DRIVERS_FOLDER)):
        return True
    below = len(files.path(""))
    if any(_MANIFEST.fullmatch(info.path[below:]) for info in files.entries(STUDIES_FOLDER, recursive=True)):
        return True
    return any(_OF_TABLE.get(name.table) for names in files.trials().values() for name in names) or _is_empty(files)


def _is_empty(files: RecordFiles) -> bool:
    """Check that a folder has nothing but locks, temporary files, and folders of the names of a storage's with no others."""
    names = {info.base_name for info in files.entries("")}
    others = (name for name in names - {*FOLDERS} if not (name.startswith(".") or TOKEN.fullmatch(name)))
    if any(others):
        return False
    below = (info for folder in names.intersection(FOLDERS) for info in files.entries(folder, recursive=True))
    return all(_TEMPORARY.search(info.path) for info in below if info.type == fs.FileType.File)


def of_trial(name: str) -> bool:
    """Check whether a file among a trial's is ours: no other is ever deleted."""
    parsed = FileName.parse(name.removesuffix(ASIDE))
    return (parsed is not None and parsed.table in _OF_TABLE) or bool(TEMPORARY.fullmatch(name))


def _stored(path: str, info: fs.FileInfo) -> StoredFile:
    kind, trial = _kind(path)
    return StoredFile(path, info.size or 0, info.mtime_ns or 0, kind, trial)


def _kind(path: str) -> tuple[Kind, str | None]:
    """Tell by its path what a file holds, and of which trial; OTHER where it is not one of ours."""
    parts = path.split("/")
    top, base = parts[0], parts[-1]
    if len(parts) == 1 and TOKEN.fullmatch(top):
        return Kind.TEMPORARY, None
    if ".tmp" in path and (len(parts) == 1 or top in FOLDERS) and _TEMPORARY.search(path):
        return Kind.TEMPORARY, None
    if top == TRIALS_FOLDER and len(parts) == 3:
        name = FileName.parse(base)
        return _OF_TABLE.get(name.table, Kind.OTHER) if name else Kind.OTHER, parts[1]
    if top == SEGMENTS_FOLDER and len(parts) == 2 and FileName.parse(base):
        return Kind.SEGMENTS, None
    if _MANIFEST.fullmatch(path):
        return Kind.MANIFESTS, None
    if top == ENVIRONMENTS_FOLDER and len(parts) == 2 and TEXT.fullmatch(base):
        return Kind.ENVIRONMENTS, None
    return Kind.VIEWS if path.startswith(_VIEWS) else Kind.OTHER, None
