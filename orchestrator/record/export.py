"""Copying studies to a storage of their own: a folder, or a zip file of one."""

import os
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.record.manifest import Manifest
from analysis.record.names import FileName, newest, newest_weights
from analysis.record.schema import TABLES, TRIALS_FOLDER
from orchestrator.record.environments import environment_path, environments, named_in, read_environment
from orchestrator.record.files import Files
from orchestrator.record.removal import needed
from orchestrator.record.store import Store

#: Writes a file by its path in the new storage.
_Put = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Copied:
    """Numbers of trials, files and bytes that were copied."""

    trials: int
    files: int
    size: int


def export(store: Store, manifests: Iterable[Manifest], place: Path, weights: bool) -> Copied:
    """Copy studies with all that the record holds of their trials but the states.

    Args:
        store: the storage.
        manifests: the studies.
        place: a file that ends in ``.zip``, or a folder; it appears whole or not at all.
        weights: whether to copy the trained networks too.

    Raises:
        BrokenRecordError: a file is damaged.
        OSError: ``place`` cannot be written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{uuid.uuid4().hex}.tmp")
    try:
        if place.suffix == ".zip":
            # Not compressed: the files are.
            with zipfile.ZipFile(temporary, "x") as archive:
                copied = _copy(store, manifests, archive.writestr, weights)
        else:
            temporary.mkdir()
            copied = _copy(store, manifests, Files(str(temporary)).write, weights)
        os.replace(temporary, place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.unlink(missing_ok=True)
        raise
    return copied


def _copy(store: Store, manifests: Iterable[Manifest], put: _Put, weights: bool) -> Copied:
    manifests = list(manifests)
    listed = store.trials(frozenset[str]().union(*map(needed, manifests)))
    files = size = 0
    for key, names in listed.items():
        for name, data in _read(store, key, names, weights):
            put(f"{TRIALS_FOLDER}/{key}/{name}", data)
            files, size = files + 1, size + len(data)
    for digest in sorted(named_in(store, listed) & {*environments(store)}):
        data = read_environment(store, digest)
        put(environment_path(digest), data)
        files, size = files + 1, size + len(data)
    for manifest in manifests:
        data = manifest.to_json().encode()
        put(manifest.path, data)
        files, size = files + 1, size + len(data)
    return Copied(len(listed), files, size)


def _read(store: Store, key: str, names: Sequence[FileName], weights: bool) -> list[tuple[FileName, bytes]]:
    """Read and verify the files of a trial that count."""

    def read(names: Sequence[FileName]) -> list[tuple[FileName, bytes]]:
        chosen = [*newest(names, *TABLES), *(newest_weights(names) if weights else ())]
        return [(name, store.read_file(key, name)) for name in chosen]

    return store.consistently(key, names, read)
