"""Reading the storage: the record as data frames, and the manifests of its studies."""

import posixpath
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from analysis.fields import AttackFields, Fields
from analysis.manifest import Manifest
from analysis.schema import EPOCHS, EVALUATIONS, MEASURES, STUDIES_FOLDER, TRIAL, TRIALS_FOLDER, filesystem

#: Files read at once: reads wait for a disk or a network, and not for a core.
THREADS = 32

T = TypeVar("T")


class StorageNotFoundError(FileNotFoundError):
    """No storage exists at the URI."""


class ManifestNotFoundError(LookupError):
    """The storage holds no manifest of the study."""


class BrokenRecordError(ValueError):
    """A file of the record is unreadable or contradicts itself."""


@dataclass(frozen=True)
class Record:
    """The record as data frames with the columns of :mod:`analysis.schema`.

    JSON columns are parsed: ``config`` and ``measure_spec`` hold :class:`~analysis.fields.Fields`, ``attack_spec``
    :class:`~analysis.fields.AttackFields`.

    ``trials``: one row a trial, with a ``config.*`` column for every field (missing where a trial does not set it).
    ``epochs``: one row an epoch of a trial. ``evaluations``: one row an evaluation and head, each pair once.
    ``measures``: one row a measurement and array, each pair once; :func:`array` restores an array's shape.
    """

    trials: pd.DataFrame
    epochs: pd.DataFrame
    evaluations: pd.DataFrame
    measures: pd.DataFrame


def load(storage_uri: str, trials: Collection[str] | None = None) -> Record:
    """Read the record of ``trials`` (keys; all by default). A trial that has recorded nothing yet is no error.

    Only evaluations on the test set are read: those on validation images guided a search, so no table may show them.

    Raises:
        StorageNotFoundError: there is no storage at ``storage_uri``.
        BrokenRecordError: a file of the record is unreadable.
    """
    files, root = _open(storage_uri)
    base = posixpath.join(root, TRIALS_FOLDER)
    folders = [base] if trials is None else [posixpath.join(base, trial) for trial in sorted(set(trials))]
    paths = [path for found in _concurrently(lambda folder: _list(files, folder), folders) for path in found]

    def read(kind: str) -> list[pa.Table]:
        return _concurrently(lambda path: _read_parquet(files, path), [p for p in paths if _kind(p, base) == kind])

    evaluations = _concat(read("evaluations"), EVALUATIONS)
    # Records from before this column was introduced hold complete evaluations only.
    evaluations["complete"] = evaluations["complete"].map(lambda complete: complete is None or bool(complete)).astype(bool)
    evaluations["attack_spec"] = _parsed(evaluations["attack_spec"], AttackFields)
    evaluations = evaluations[evaluations["attack_spec"].map(lambda attack: attack.on_test_set).astype(bool)]
    measures = _concat(read("measures"), MEASURES)
    measures["measure_spec"] = _parsed(measures["measure_spec"], Fields)
    all_trials = _trials(read("trial"))
    all_trials["config"] = _parsed(all_trials["config"], Fields)
    return Record(
        all_trials,
        _concat(read("epochs"), EPOCHS),
        evaluations.drop_duplicates(["evaluation", "head"], ignore_index=True),
        measures.drop_duplicates(["measurement", "array"], ignore_index=True),
    )


def _parsed(texts: "pd.Series[Any]", kind: type[Fields]) -> "pd.Series[Any]":
    """Parse a column of JSON; a missing text gives no fields, and equal texts, which many rows share, are parsed once.

    Raises:
        BrokenRecordError: a text is no JSON object.
    """
    texts = texts.fillna("{}")
    try:
        known = {text: kind(text) for text in texts.unique()}
    except ValueError as error:
        raise BrokenRecordError(f"{texts.name}: {error}") from error
    return texts.astype(object).map(lambda text: known[text])


def array(record: Record, measurement: str, name: str) -> NDArray[np.float64]:
    """Return the array ``name`` of a measurement (by its key) in its original shape.

    Raises:
        KeyError: the record holds no such array.
    """
    found = record.measures[(record.measures["measurement"] == measurement) & (record.measures["array"] == name)]
    if found.empty:
        raise KeyError(f"no array {name!r} of measurement {measurement!r}")
    row = found.iloc[0]
    return np.asarray(row["values"], np.float64).reshape(row["shape"])


def manifests(storage_uri: str) -> list[Manifest]:
    """Read the manifest of every study that was run on a storage, sorted by path.

    Raises:
        StorageNotFoundError: there is no storage at ``storage_uri``.
        BrokenRecordError: a manifest is unreadable.
    """
    files, root = _open(storage_uri)
    paths = [p for p in _list(files, posixpath.join(root, STUDIES_FOLDER)) if p.endswith(".json") and not _hidden(p)]
    return _concurrently(lambda path: _read_manifest(files, path), paths)


def find_manifest(storage_uri: str, study: str, profile: str | None = None) -> Manifest:
    """Read the newest manifest of ``study`` (its name, or ``paper/alias``), of ``profile`` if one is given.

    Raises:
        ManifestNotFoundError: the study was not run on this storage; the message names those that were.
        StorageNotFoundError, BrokenRecordError: as :func:`manifests`.
    """
    return newest(manifests(storage_uri), study, profile, storage_uri)


def newest(there: Iterable[Manifest], study: str, profile: str | None, storage_uri: str) -> Manifest:
    """Choose the newest manifest of ``study`` from those of a storage, as :func:`find_manifest` does.

    Raises:
        ManifestNotFoundError: none is of this study and profile.
    """
    there = tuple(there)
    found = [m for m in there if study in m.names and profile in {None, m.profile}]
    if not found:
        wanted = f"{study!r}" if profile is None else f"{study!r} with profile {profile!r}"
        names = ", ".join(sorted({f"{m.study} ({m.profile})" for m in there})) or "no study yet"
        raise ManifestNotFoundError(f"no study {wanted} in {storage_uri}, which holds: {names}")
    return max(found, key=lambda m: m.created)


def _open(storage_uri: str) -> tuple[fs.FileSystem, str]:
    files, root = filesystem(storage_uri)
    if files.get_file_info(root).type == fs.FileType.NotFound:
        raise StorageNotFoundError(f"no storage at {storage_uri}: nothing was run there yet")
    return files, root


def _list(files: fs.FileSystem, folder: str) -> list[str]:
    """List the paths of all files under ``folder``, sorted; empty where there is no such folder."""
    found = files.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    return sorted(info.path for info in found if info.is_file)


def _hidden(path: str) -> bool:
    """Whether the file, or its folder, is still being written."""
    return any(part.startswith(".") or part.endswith(".tmp") for part in path.split("/")[-2:])


def _kind(path: str, base: str) -> str | None:
    """Find a file's table of the record by its name: ``trial``, ``epochs``, ``evaluations``, ``measures``; None for others."""
    folder, name = posixpath.split(path)
    stem, extension = posixpath.splitext(name)
    if posixpath.dirname(folder) != base or extension != ".parquet" or _hidden(path):
        return None
    kind, dash, _ = stem.partition("-")
    return kind if dash and kind in {"evaluations", "measures"} else stem


def _read_parquet(files: fs.FileSystem, path: str) -> pa.Table:
    # In one read: a sweep may replace the file at any time, and the footer of one version does not match another's pages.
    with files.open_input_stream(path) as stream:
        data = stream.read_buffer()
    try:
        return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    except pa.ArrowInvalid as error:
        raise BrokenRecordError(f"{path} is not readable: {error}") from error


def _read_manifest(files: fs.FileSystem, path: str) -> Manifest:
    with files.open_input_file(path) as file:
        text = file.read().decode()
    try:
        return Manifest.from_json(text)
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenRecordError(f"{path} is no manifest: {error}") from error


def _concat(tables: list[pa.Table], schema: pa.Schema) -> pd.DataFrame:
    """Concatenate tables, with the columns of ``schema``."""
    table = pa.concat_tables([schema.empty_table(), *tables], promote_options="permissive")
    frame: pd.DataFrame = table.select(schema.names).to_pandas()
    return frame


def _trials(tables: list[pa.Table]) -> pd.DataFrame:
    """Concatenate the rows of trials. A ``config.*`` column may hold a number in one trial and a text in another."""
    rows = [row for table in tables for row in table.to_pylist()]
    settings = [{name: value for name, value in row.items() if name.startswith("config.")} for row in rows]
    contract: pd.DataFrame = pa.Table.from_pylist(rows, schema=TRIAL).to_pandas()
    return contract.join(pd.DataFrame(settings, index=contract.index))


def _concurrently(function: Callable[[str], T], paths: Iterable[str]) -> list[T]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, paths))
