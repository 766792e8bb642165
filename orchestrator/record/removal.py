"""Deleting from a storage: trials, studies, and what nothing needs any more."""

import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from analysis.record.files import BrokenRecordError
from analysis.record.manifest import Manifest
from analysis.record.names import FileName, newest, newest_weights
from analysis.record.rows import rows
from analysis.record.schema import TABLES, TRIAL, TRIALS_FOLDER, Status
from orchestrator.errors import Unavailable
from orchestrator.record.environments import NAMING, environment_path, named_by
from orchestrator.record.files import ABANDONED, ASIDE
from orchestrator.record.inventory import Kind, StoredFile, of_trial
from orchestrator.record.store import Store

#: What of a trial's files has one newest file of each part; of weights, several epochs count.
_KINDS = (*TABLES, "state")

_ROW = pa.schema([TRIAL.field(name) for name in ("trial", "status", "epochs", "best_epoch", *NAMING)])


class Needless(StrEnum):
    """Why a trial or a file is not needed.

    ORPHANS: no study has the trial. Its numbers are as good as any, and a manifest that is lost makes orphans of a study's
    trials: so they go only where they are asked for. STATES: of a training that has ended. SUPERSEDED: a newer file replaces
    it, or nothing refers to it. TEMPORARY: a killed writer left it.
    """

    ORPHANS = "orphans"
    STATES = "states"
    SUPERSEDED = "superseded"
    TEMPORARY = "temporary"


#: What goes where nothing is named: what costs no number.
WORTHLESS = (Needless.STATES, Needless.SUPERSEDED, Needless.TEMPORARY)


@dataclass(frozen=True)
class Removal:
    """What is to be deleted: whole ``trials`` by their keys, single ``files``, and the ``manifests`` of studies."""

    trials: tuple[str, ...] = ()
    files: tuple[StoredFile, ...] = ()
    manifests: tuple[Manifest, ...] = ()


def needed(manifest: Manifest) -> frozenset[str]:
    """Collect the keys of every trial that a study needs: its rows, what is beside them, and these under older numerics."""
    keys = manifest.trials | manifest.beside.keys()
    return keys.union(*(manifest.older.get(key, ()) for key in keys))


def of_studies(manifests: Iterable[Manifest], others: Iterable[Manifest], there: Collection[str]) -> Removal:
    """Choose what goes with studies: their manifests, and their trials, without those that ``others`` need.

    ``there``: the keys of the trials that the storage has.
    """
    manifests = tuple(manifests)
    keys = frozenset[str]().union(*map(needed, manifests)).difference(*map(needed, others))
    return Removal(trials=tuple(sorted(keys.intersection(there))), manifests=manifests)


def needless(store: Store, stored: Iterable[StoredFile], only: Collection[Needless]) -> dict[Needless, Removal]:
    """Find what nothing needs, by the reasons in ``only``; ``stored``: every file of the storage.

    Raises:
        BrokenRecordError: a trial's row is damaged.
        Unavailable: orphans are asked for, and a manifest is not readable, so what its study needs is not known.
    """
    stored = list(stored)
    by_trial: dict[str, list[StoredFile]] = defaultdict(list)
    for file in stored:
        if file.trial and not file.trial.endswith(".tmp"):
            by_trial[file.trial].append(file)
    found = dict.fromkeys(only, Removal())
    orphans = set[str]()
    if Needless.ORPHANS in only:
        orphans = orphaned(store, stored)
        found[Needless.ORPHANS] = Removal(trials=tuple(sorted(orphans)))
    kept = {key: files for key, files in by_trial.items() if key not in orphans}
    listed = {key: [name for file in files if (name := file.name)] for key, files in kept.items()}
    table = rows(store, listed, {"trial": _ROW})["trial"]
    finished = {row["trial"]: row for row in table.to_pylist() if row["status"] == Status.FINISHED}
    if Needless.STATES in only:
        states = (file for key in finished for file in kept[key] if file.kind is Kind.STATES)
        found[Needless.STATES] = Removal(files=tuple(states))
    if Needless.SUPERSEDED in only:
        older = (file for key, files in kept.items() for file in _superseded(files, finished.get(key)))
        taken = {file.path for removal in found.values() for file in removal.files}
        named = {environment_path(digest) for digest in named_by(table)}
        unnamed = (file for file in stored if file.kind is Kind.ENVIRONMENTS and file.path not in named)
        found[Needless.SUPERSEDED] = Removal(files=tuple(file for file in (*older, *unnamed) if file.path not in taken))
    if Needless.TEMPORARY in only:
        before = time.time_ns() - int(ABANDONED * 1e9)
        left = (file for file in stored if file.kind is Kind.TEMPORARY and file.modified < before)
        found[Needless.TEMPORARY] = Removal(files=tuple(left))
    return found


def orphaned(store: Store, stored: Iterable[StoredFile]) -> set[str]:
    """Find the recorded trials that no study has; ``stored``: every file of the storage.

    Raises:
        Unavailable: a manifest is not readable, so which trials its study needs is not known.
    """
    stored = list(stored)
    try:
        manifests = store.manifests()
    except BrokenRecordError as error:
        raise _unknown(str(error)) from error
    read = {manifest.path for manifest in manifests}
    unread = {file.path for file in stored if file.kind is Kind.MANIFESTS and file.path.removesuffix(ASIDE) not in read}
    if unread:
        raise _unknown(f"{min(unread)} is no readable manifest")
    recorded = {file.trial for file in stored if file.trial and file.kind is not Kind.OTHER}
    return {key for key in recorded if not key.endswith(".tmp")}.difference(*map(needed, manifests))


def _unknown(why: str) -> Unavailable:
    return Unavailable(
        f"{why}, so which trials its study needs is not known: run that study again, which makes its manifest anew, or delete "
        "the file, or leave out orphans"
    )


def _superseded(files: Iterable[StoredFile], finished: Mapping[str, Any] | None) -> Iterator[StoredFile]:
    """Yield the files of a trial that newer ones replace or that nothing refers to; ``finished``: the row of one that is."""
    by_name: dict[FileName, StoredFile] = {name: file for file in files if (name := file.name)}
    counted = newest(by_name, *_KINDS)
    parts = {name.part for name in counted if name.table == "evaluations"}
    current = {name for name in counted if name.table != "outcomes" or name.part in parts}
    # Of weights, each epoch's newest; of a trial that is not finished only its state says which epochs count.
    epochs = None if finished is None else {finished["epochs"], finished["best_epoch"]}
    current.update(name for name in newest_weights(by_name) if epochs is None or name.order in epochs)
    known = {"weights", *_KINDS}
    yield from (file for name, file in by_name.items() if name.table in known and name not in current)


def remove(store: Store, removal: Removal) -> None:
    """Delete from a storage: manifests last, so that the same command completes what was interrupted."""
    for key in removal.trials:
        _remove_trial(store, key)
    folders = set[str]()
    for file in removal.files:
        store.delete(file.path)
        folders.add(file.path.rpartition("/")[0])
    for folder in folders:
        if store.local and folder.endswith(".tmp"):  # a trial whose removal was interrupted
            _delete_folder(store, store.path(folder))
    for manifest in removal.manifests:
        store.delete(manifest.path)


def _remove_trial(store: Store, key: str) -> None:
    """Delete a trial, of which a reader sees all or nothing. What somebody else has put into its folder stays there."""
    folder = f"{TRIALS_FOLDER}/{key}"
    names = [info.base_name for info in store.entries(folder)]
    if store.local and all(map(of_trial, names)):
        hidden = store.path(TRIALS_FOLDER, f".{key}.{uuid.uuid4().hex}.tmp")
        store.system.move(store.path(folder), hidden)
        _delete_folder(store, hidden)
        return
    # Without its row there is no trial, whatever else is still there.
    for name in sorted(filter(of_trial, names), key=lambda name: (not name.startswith("trial-"), name)):
        store.delete(f"{folder}/{name}")


def _delete_folder(store: Store, path: str) -> None:
    store.system.delete_dir(path)
