"""From the storage to data frames and manifests, wherever pyarrow can read."""

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
from analysis.schema import EPOCHS, EVALUATIONS, MEASURES, STUDIES, TRIAL, TRIALS, filesystem

#: Reads under way at once. They wait for a disk or a network, not for a core.
THREADS = 32

T = TypeVar("T")


class StorageNotFoundError(FileNotFoundError):
    """There is nothing where the storage should be."""


class ManifestNotFoundError(LookupError):
    """The storage holds no such study."""


class BrokenRecordError(ValueError):
    """A file of the record cannot be read, or contradicts itself."""


@dataclass(frozen=True)
class Record:
    """What the trials left behind: data frames with the columns of :mod:`analysis.schema`.

    What is JSON there is read: ``config`` and ``measure_spec`` hold :class:`~analysis.fields.Fields`, ``attack_spec``
    :class:`~analysis.fields.AttackFields`.

    ``trials``: one row each, ``config.*`` columns included (missing where a trial does not set the field).
    ``epochs``: one row an epoch. ``evaluations``: one row an evaluation and head, no pair of them twice.
    ``measures``: one row a measurement and array, no pair of them twice; :func:`array` makes one of them what it was.
    """

    trials: pd.DataFrame
    epochs: pd.DataFrame
    evaluations: pd.DataFrame
    measures: pd.DataFrame


def load(storage_uri: str, trials: Collection[str] | None = None) -> Record:
    """Read the record of ``trials`` (keys; all that are there by default). A trial that left nothing yet is no error.

    Evaluations on the test set alone: by those on validation images a search chose, and no table may show them.

    Raises:
        StorageNotFoundError: there is no storage at ``storage_uri``.
        BrokenRecordError: a file is not readable as what its name says.
    """
    files, root = _open(storage_uri)
    base = posixpath.join(root, TRIALS)
    folders = [base] if trials is None else [posixpath.join(base, trial) for trial in sorted(set(trials))]
    paths = [path for found in _concurrently(lambda folder: _list(files, folder), folders) for path in found]

    def read(kind: str) -> list[pa.Table]:
        return _concurrently(lambda path: _read_parquet(files, path), [p for p in paths if _kind(p, base) == kind])

    evaluations = _concat(read("evaluations"), EVALUATIONS)
    # Before it was said, every evaluation was complete.
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
    """JSON as fields, none where there is no text; equal texts, which many rows have, are read once.

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
    """The array ``name`` of a measurement (its key), in its shape.

    Raises:
        KeyError: the record holds no such array.
    """
    found = record.measures[(record.measures["measurement"] == measurement) & (record.measures["array"] == name)]
    if found.empty:
        raise KeyError(f"no array {name!r} of measurement {measurement!r}")
    row = found.iloc[0]
    return np.asarray(row["values"], np.float64).reshape(row["shape"])


def manifests(storage_uri: str) -> list[Manifest]:
    """Every study that was run on this storage, sorted by its path.

    Raises:
        StorageNotFoundError: there is no storage at ``storage_uri``.
        BrokenRecordError: a manifest is not readable.
    """
    files, root = _open(storage_uri)
    paths = [p for p in _list(files, posixpath.join(root, STUDIES)) if p.endswith(".json") and not _hidden(p)]
    return _concurrently(lambda path: _read_manifest(files, path), paths)


def find_manifest(storage_uri: str, study: str, profile: str | None = None) -> Manifest:
    """The newest run of ``study`` (its name, or ``paper/alias``), of ``profile`` if one is given.

    Raises:
        ManifestNotFoundError: it was not run on this storage; the message names what was.
        StorageNotFoundError, BrokenRecordError: as :func:`manifests`.
    """
    return newest(manifests(storage_uri), study, profile, storage_uri)


def newest(there: Iterable[Manifest], study: str, profile: str | None, storage_uri: str) -> Manifest:
    """As :func:`find_manifest`, of the manifests that are ``there``, which were read already."""
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
    """Paths of all files under ``folder``, sorted; none where there is no such folder."""
    found = files.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    return sorted(info.path for info in found if info.is_file)


def _hidden(path: str) -> bool:
    """Whether it is (or lies in) something that is still being written."""
    return any(part.startswith(".") or part.endswith(".tmp") for part in path.split("/")[-2:])


def _kind(path: str, base: str) -> str | None:
    """``trial``, ``epochs``, ``evaluations`` or ``measures`` for the tables of the record, None for every other file."""
    folder, name = posixpath.split(path)
    stem, extension = posixpath.splitext(name)
    if posixpath.dirname(folder) != base or extension != ".parquet" or _hidden(path):
        return None
    kind, dash, _ = stem.partition("-")
    return kind if dash and kind in {"evaluations", "measures"} else stem


def _read_parquet(files: fs.FileSystem, path: str) -> pa.Table:
    # In one read: a sweep may replace the file at any time, and the footer of one version does not fit another's pages.
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
    """The tables under each other with the columns of ``schema``."""
    table = pa.concat_tables([schema.empty_table(), *tables], promote_options="permissive")
    frame: pd.DataFrame = table.select(schema.names).to_pandas()
    return frame


def _trials(tables: list[pa.Table]) -> pd.DataFrame:
    """One row a trial. A ``config.*`` column may hold numbers in one trial and text or nothing in another."""
    rows = [row for table in tables for row in table.to_pylist()]
    settings = [{name: value for name, value in row.items() if name.startswith("config.")} for row in rows]
    contract: pd.DataFrame = pa.Table.from_pylist(rows, schema=TRIAL).to_pandas()
    return contract.join(pd.DataFrame(settings, index=contract.index))


def _concurrently(function: Callable[[str], T], paths: Iterable[str]) -> list[T]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, paths))
