"""Reading the storage: the record as data frames, and the manifests of its studies."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.record.fields import AttackFields, Fields, flatten
from analysis.record.files import BrokenRecordError, RecordFiles, StorageNotFoundError, concurrently
from analysis.record.manifest import Manifest
from analysis.record.outcomes import Outcomes
from analysis.record.rows import rows
from analysis.record.schema import EPOCHS, EVALUATIONS, FAILURES, MEASURES, TRIAL

#: The tables that are read at once, with their schemas.
_TABLES = {"trial": TRIAL, "evaluations": EVALUATIONS, "measures": MEASURES, "failures": FAILURES}


class ManifestNotFoundError(LookupError):
    """The storage holds no manifest of the study."""


@dataclass(frozen=True)
class Record:
    """The record as data frames with the columns of :mod:`analysis.record.schema`.

    JSON columns are parsed: ``config`` and ``measure_spec`` hold :class:`~analysis.record.fields.Fields`, ``attack_spec``
    :class:`~analysis.record.fields.AttackFields`.

    ``trials``: one row a trial. ``evaluations``: one row an evaluation and head, each pair once. ``measures``: one row a
    measurement and array, each pair once; :func:`array` restores an array's shape. ``outcomes``: reads what evaluations did to
    single examples. ``failures``: one row an evaluation or measurement that has failed and has no number since, each once, with
    its last reason. ``history``: the columns ``trial`` and ``history`` of the trials' rows, of which :attr:`epochs` is made.
    """

    trials: pd.DataFrame
    evaluations: pd.DataFrame
    measures: pd.DataFrame
    outcomes: Outcomes
    failures: pd.DataFrame
    history: pa.Table

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row an epoch of a trial; made when it is asked for first, for it is long and few tables need it."""
        history = self.history["history"].combine_chunks()
        epochs = pc.list_flatten(history)
        columns = {name: pc.struct_field(epochs, name) for name in EPOCHS.names if name != "trial"}
        keys = self.history["trial"].combine_chunks().take(pc.list_parent_indices(history))
        frame: pd.DataFrame = pa.table({"trial": keys, **columns}, schema=EPOCHS).to_pandas()
        return frame


def load(storage_uri: str, trials: Collection[str] | None = None) -> Record:
    """Read the record of ``trials`` (keys; all by default). A trial that has recorded nothing yet is no error.

    Only evaluations on the test set are read: those on validation images guided a search, so no table may show them.

    Raises:
        StorageNotFoundError: there is no storage at ``storage_uri``.
        BrokenRecordError: a file of the record is unreadable.
    """
    files = _open(storage_uri)
    listed = files.trials(trials)
    tables = rows(files, listed, _TABLES)
    evaluations, measures = (tables[table].to_pandas() for table in ("evaluations", "measures"))
    found = tables["trial"].drop_columns("history").to_pandas()
    # Handmade records may leave it out: without a word an evaluation is complete.
    evaluations["complete"] = evaluations["complete"].map(lambda complete: complete is None or bool(complete)).astype(bool)
    evaluations["attack_spec"] = _parsed(evaluations["attack_spec"], AttackFields)
    evaluations = evaluations[evaluations["attack_spec"].map(lambda attack: attack.on_test_set).astype(bool)]
    # Of an evaluation that was run again because its outcomes were lost, the one that has outcomes counts.
    whole = {f"{trial}/{name.part}" for trial, names in listed.items() for name in names if name.table == "outcomes"}
    has_outcomes = (evaluations["trial"] + "/" + evaluations["part"]).isin(whole)
    if not has_outcomes.all():
        evaluations = evaluations.loc[has_outcomes.sort_values(ascending=False, kind="stable").index]
    measures["measure_spec"] = _parsed(measures["measure_spec"], Fields)
    found["config"] = _parsed(found["config"], Fields)
    failures = tables["failures"].to_pandas().sort_values("finished", kind="stable").drop_duplicates("evaluation", keep="last")
    done = {*evaluations["evaluation"], *measures["measurement"]}
    return Record(
        found,
        evaluations.drop_duplicates(["evaluation", "head"], ignore_index=True),
        measures.drop_duplicates(["measurement", "array"], ignore_index=True),
        Outcomes(files),
        failures[~failures["evaluation"].isin(done)].reset_index(drop=True),
        tables["trial"].select(["trial", "history"]),
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


def with_settings(trials: pd.DataFrame) -> pd.DataFrame:
    """Add a column ``config.<field>`` for every leaf of the trials' configurations, missing where a trial does not set it."""
    settings = [flatten(config, "config.") for config in trials["config"]]
    return trials.join(pd.DataFrame(settings, index=trials.index, dtype=object).infer_objects())


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
    files = _open(storage_uri)
    return concurrently(files.manifest, files.manifest_paths())


def find_manifest(storage_uri: str, study: str, profile: str | None = None) -> Manifest:
    """Read the newest manifest of ``study`` (its name, or ``paper/alias``), of ``profile`` if one is given.

    Raises:
        ManifestNotFoundError: the study was not run on this storage; the message names those that were.
        StorageNotFoundError, BrokenRecordError: as :func:`manifests`.
    """
    return newest_manifest(manifests(storage_uri), study, profile, storage_uri)


def newest_manifest(there: Iterable[Manifest], study: str, profile: str | None, storage_uri: str) -> Manifest:
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


def _open(storage_uri: str) -> RecordFiles:
    files = RecordFiles(storage_uri)
    if not files.exists():
        raise StorageNotFoundError(f"no storage at {storage_uri}: nothing was run there yet")
    return files
