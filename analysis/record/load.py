"""Reading the storage: the record as data frames, and the manifests of its studies."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.record.columns import Codes, coded, codes, combined, each_once, texts
from analysis.record.fields import AttackFields, Fields, flatten
from analysis.record.files import BrokenRecordError, RecordFiles, StorageNotFoundError, concurrently
from analysis.record.manifest import Manifest
from analysis.record.outcomes import Outcomes
from analysis.record.rows import Listed, rows
from analysis.record.schema import EPOCHS, EVALUATIONS, FAILURES, MEASURES, TRIAL

#: The tables that are read at once, with their schemas; of a trial's row without the epochs, which few tables need.
_TABLES = {
    "trial": coded(TRIAL.remove(TRIAL.get_field_index("history"))),
    "evaluations": coded(EVALUATIONS),
    "measures": coded(MEASURES),
    "failures": FAILURES,
}

_HISTORY = pa.schema([TRIAL.field("trial"), TRIAL.field("history")])


F = TypeVar("F", bound=Fields)


class ManifestNotFoundError(LookupError):
    """The storage holds no manifest of the study."""


@dataclass(frozen=True)
class Record:
    """The record of some trials: tables in memory, and data frames made of them when they are asked for first.

    The frames have the columns of :mod:`analysis.record.schema`. JSON columns are parsed: ``config`` and ``measure_spec`` hold
    :class:`~analysis.record.fields.Fields`, ``attack_spec`` :class:`~analysis.record.fields.AttackFields`.

    Attributes:
        tables: by name, with texts coded. ``trial``: one row a trial; ``evaluations``: an evaluation and head, each pair once;
            ``measures``: a measurement and array, each pair once; ``failures``: an evaluation or measurement that has failed
            and has no number since, each once, with its last reason.
        outcomes: reads what evaluations did to single examples.
        files, listed: where the trials' files are.
        settings: whether the frame of trials has a column for each field of the configurations.
    """

    tables: Mapping[str, pa.Table]
    outcomes: Outcomes
    files: RecordFiles
    listed: Listed
    settings: bool = False

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial."""
        frame = _frame(self.tables["trial"], TRIAL)
        frame["config"] = _parsed(frame["config"], Fields)
        return with_settings(frame) if self.settings else frame

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """One row an evaluation and head."""
        frame = _frame(self.tables["evaluations"], EVALUATIONS)
        frame["attack_spec"] = _parsed(frame["attack_spec"], AttackFields)
        return frame

    @cached_property
    def measures(self) -> pd.DataFrame:
        """One row a measurement and array; :func:`array` restores the array's shape."""
        frame = _frame(self.tables["measures"], MEASURES)
        frame["measure_spec"] = _parsed(frame["measure_spec"], Fields)
        return frame

    @cached_property
    def failures(self) -> pd.DataFrame:
        """One row an evaluation or measurement that has failed and has no number since."""
        return _frame(self.tables["failures"], FAILURES)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row an epoch of a trial; read when it is asked for first, for it is long and few tables need it."""
        read = rows(self.files, self.listed, {"trial": _HISTORY})["trial"].combine_chunks()
        history = read["history"].combine_chunks()
        epochs = pc.list_flatten(history)
        columns = {name: pc.struct_field(epochs, name) for name in EPOCHS.names if name != "trial"}
        keys = read["trial"].combine_chunks().take(pc.list_parent_indices(history))
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
    found = rows(files, listed, _TABLES)
    evaluations = _on_test_set(found["evaluations"])
    # Of an evaluation that was run again because its outcomes were lost, the one that has outcomes counts.
    trial, part = codes(evaluations, "trial"), codes(evaluations, "part")
    whole = {(key, name.part) for key, names in listed.items() for name in names if name.table == "outcomes"}
    pairs, where = np.unique(combined(trial, part), return_inverse=True)
    has = [(trial.texts[pair // len(part)], part.texts[pair % len(part)]) in whole for pair in pairs.tolist()]
    if not all(has):
        evaluations = evaluations.take(np.argsort(~np.array(has, bool)[where], kind="stable"))
    evaluations = each_once(evaluations, "evaluation", "head")
    measures = each_once(found["measures"], "measurement", "array")
    tables = {"trial": found["trial"], "evaluations": evaluations, "measures": measures}
    return Record(tables | {"failures": _left(found["failures"], tables)}, Outcomes(files), files, listed)


def _on_test_set(evaluations: pa.Table) -> pa.Table:
    """Leave out evaluations on validation images. Handmade records may not say what is complete: then all is."""
    attacks = codes(evaluations, "attack_spec")
    counts = np.array([attack.on_test_set for attack in parsed(attacks, AttackFields, "attack_spec")], bool)
    complete = pc.fill_null(evaluations["complete"], True)
    evaluations = evaluations.set_column(evaluations.schema.get_field_index("complete"), "complete", complete)
    return evaluations if counts.all() else evaluations.filter(pa.array(counts[attacks.of]))


def _left(failures: pa.Table, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Keep the last failure of each evaluation or measurement that has no number."""
    if not len(failures):
        return failures
    done = {
        key
        for table, name in (("evaluations", "evaluation"), ("measures", "measurement"))
        for key in texts(tables[table], name)
    }
    last = {row["evaluation"]: row for row in sorted(failures.to_pylist(), key=lambda row: row["finished"])}
    return pa.Table.from_pylist([row for key, row in last.items() if key not in done], schema=FAILURES)


def _frame(table: pa.Table, schema: pa.Schema) -> pd.DataFrame:
    """Make a data frame of a table."""
    frame: pd.DataFrame = table.cast(pa.schema([schema.field(name) for name in table.schema.names])).to_pandas()
    return frame


def parsed(column: Codes, kind: type[F], name: str) -> list[F]:
    """Parse the JSON of a column's texts, each once; a missing text gives no fields.

    Raises:
        BrokenRecordError: a text is no JSON object.
    """
    try:
        return [kind(text or "{}") for text in column.texts]
    except ValueError as error:
        raise BrokenRecordError(f"{name}: {error}") from error


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
        names = ", ".join(sorted({m.full_name for m in there})) or "no study yet"
        raise ManifestNotFoundError(f"no study {wanted} in {storage_uri}, which holds: {names}")
    return max(found, key=lambda m: m.created)


def _open(storage_uri: str) -> RecordFiles:
    files = RecordFiles(storage_uri)
    if not files.exists():
        raise StorageNotFoundError(f"no storage at {storage_uri}: nothing was run there yet")
    return files
