"""What the record holds of one trial, as a plan needs it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.record.columns import coded, codes, combined
from analysis.record.rows import Listed
from analysis.record.schema import EVALUATIONS, FAILURES, MEASURES, TRIAL, Ending, Status


def _columns(schema: pa.Schema, names: Iterable[str], keys: Iterable[str] = ()) -> pa.Schema:
    """Choose columns; texts are coded, but not ``keys``, each of which occurs once."""
    return pa.schema([*coded(pa.schema(map(schema.field, names))), *map(schema.field, keys)])


#: The columns that say what is done and how long it took, by table.
INDEXED = {
    "trial": _columns(TRIAL, ("status", "reason", "epochs", "ending", "seconds"), ("trial",)),
    "evaluations": _columns(EVALUATIONS, ("trial", "part", "seconds"), ("evaluation",)),
    "measures": _columns(MEASURES, ("trial", "seconds"), ("measurement",)),
    "failures": FAILURES,
}

_NONE = frozenset[str]()

#: The row of a trial whose row was damaged.
_LOST = {"status": Status.UNFINISHED, "reason": "", "epochs": 0, "ending": None}


class Failed(NamedTuple):
    """An evaluation or measurement that failed. ``label``: its readable name. ``reason``: in one line."""

    label: str
    checkpoint: str
    reason: str

    @property
    def name(self) -> str:
        """Its label and its checkpoint."""
        return f"{self.label} ({self.checkpoint})"


@dataclass(frozen=True)
class Recorded:
    """A trial in the record: its status, finished epochs, and the keys of its evaluations and measurements.

    ``failures``: those that failed, by their keys; none of them is among ``evaluations`` and ``measurements``.
    """

    status: Status = Status.UNFINISHED
    reason: str = ""
    epochs: int = 0
    evaluations: frozenset[str] = field(default_factory=frozenset)
    measurements: frozenset[str] = field(default_factory=frozenset)
    ending: Ending | None = None
    failures: Mapping[str, Failed] = field(default_factory=dict)


def indexed(tables: Mapping[str, pa.Table], listed: Listed) -> dict[str, Recorded]:
    """Collect what tables with the columns of :data:`INDEXED` hold of each trial, by its key.

    ``listed``: the trials' files. An evaluation whose outcomes are not among them counts as not run.
    """
    whole = {(key, name.part) for key, names in listed.items() for name in names if name.table == "outcomes"}
    evaluations = _keys((of, keys) for of, keys in _groups(tables["evaluations"], "evaluation", "trial", "part") if of in whole)
    measurements = _keys(_groups(tables["measures"], "measurement", "trial"))
    done = {key: evaluations.get(key, _NONE) | measurements.get(key, _NONE) for key in evaluations.keys() | measurements.keys()}
    failures: dict[str, dict[str, Failed]] = {}
    for row in sorted(_list(tables["failures"]), key=lambda row: row["finished"]):
        if row["evaluation"] not in done.get(row["trial"], _NONE):
            failures.setdefault(row["trial"], {})[row["evaluation"]] = Failed(row["label"], row["checkpoint"], row["reason"])
    rows = {row["trial"]: row for row in _list(tables["trial"])}
    found = {}
    for key in sorted(rows.keys() | done.keys()):
        row = rows.get(key, _LOST)
        found[key] = Recorded(
            Status(row["status"]),
            row["reason"],
            row["epochs"],
            evaluations.get(key, _NONE),
            measurements.get(key, _NONE),
            Ending(row["ending"]) if row["ending"] else None,
            failures.get(key, {}),
        )
    return found


def _list(table: pa.Table) -> list[dict[str, Any]]:
    """List the rows of a table."""
    return table.to_pylist() if len(table) else []  # pyarrow loads pandas for an empty column


def _groups(table: pa.Table, column: str, *names: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield the keys in a column of each run of rows that have the same texts in other columns, with these texts."""
    if not len(table):
        return
    columns, keys = [codes(table, name) for name in names], table[column].to_pylist()
    of = combined(*columns)
    begins = [0, *(np.flatnonzero(of[1:] != of[:-1]) + 1).tolist()]
    for begin, end in zip(begins, [*begins[1:], len(keys)], strict=True):
        yield tuple(str(each.texts[each.of[begin]]) for each in columns), keys[begin:end]


def _keys(groups: Iterable[tuple[tuple[str, ...], list[str]]]) -> dict[str, frozenset[str]]:
    """Collect keys by trial."""
    found: dict[str, frozenset[str]] = {}
    for (trial, *_), keys in groups:
        found[trial] = found.get(trial, _NONE).union(keys)
    return found
