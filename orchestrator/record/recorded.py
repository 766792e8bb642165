"""What the record holds of one trial, as a plan needs it."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

import pyarrow as pa

from analysis.record.schema import EVALUATIONS, FAILURES, MEASURES, TRIAL, Ending, Status

#: The columns that a plan needs, by table.
INDEXED = {
    "trial": pa.schema([TRIAL.field(name) for name in ("trial", "status", "reason", "epochs", "ending")]),
    "evaluations": pa.schema([EVALUATIONS.field(name) for name in ("trial", "part", "evaluation")]),
    "measures": pa.schema([MEASURES.field(name) for name in ("trial", "measurement")]),
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


def indexed(tables: Mapping[str, pa.Table], whole: Container[tuple[str, str]]) -> dict[str, Recorded]:
    """Collect what tables with the columns of :data:`INDEXED` hold of each trial, by its key.

    ``whole``: the trials and parts whose outcomes are there; an evaluation without them counts as not run.
    """
    evaluations = _keys(tables["evaluations"], "evaluation", whole)
    measurements = _keys(tables["measures"], "measurement")
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


def _keys(table: pa.Table, column: str, whole: Container[tuple[str, str]] | None = None) -> dict[str, frozenset[str]]:
    """Collect the keys in a column by trial; ``whole``: the trials and parts that count, None for all."""
    found: dict[str, set[str]] = {}
    if len(table):
        trials, keys = table["trial"].to_pylist(), table[column].to_pylist()
        parts = table["part"].to_pylist() if whole is not None else repeat("")
        for trial, part, key in zip(trials, parts, keys, strict=False):
            if whole is None or (trial, part) in whole:
                found.setdefault(trial, set()).add(key)
    return {trial: frozenset(of) for trial, of in found.items()}
