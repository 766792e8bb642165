"""What the record holds of trials, as a plan needs it."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.record.schema import EVALUATIONS, FAILURES, MEASURES, TRIAL, Ending, Status

#: The columns that a plan needs, by table.
INDEXED = {
    "trial": pa.schema([TRIAL.field(name) for name in ("trial", "status", "reason", "epochs", "ending", "seconds")]),
    "evaluations": pa.schema([EVALUATIONS.field(name) for name in ("trial", "part", "evaluation", "seconds")]),
    "measures": pa.schema([MEASURES.field(name) for name in ("trial", "measurement", "seconds")]),
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

    ``failures``: those that failed, by their keys; none of them is among ``evaluations`` and ``measurements``. ``seconds``: how
    long a device worked on it, in training, evaluations and measurements.
    """

    status: Status = Status.UNFINISHED
    reason: str = ""
    epochs: int = 0
    evaluations: frozenset[str] = field(default_factory=frozenset)
    measurements: frozenset[str] = field(default_factory=frozenset)
    ending: Ending | None = None
    failures: Mapping[str, Failed] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)


def indexed(tables: Mapping[str, pa.Table], whole: Container[tuple[str, str]]) -> dict[str, Recorded]:
    """Collect what tables with the columns of :data:`INDEXED` hold of each trial, by its key.

    ``whole``: the trials and parts whose outcomes are there; an evaluation without them counts as not run.
    """
    evaluations = _evaluated(tables["evaluations"], whole)
    measurements = _keys(tables["measures"], "measurement")
    done = {key: evaluations.get(key, _NONE) | measurements.get(key, _NONE) for key in evaluations.keys() | measurements.keys()}
    seconds = _seconds(tables[name] for name in ("trial", "evaluations", "measures"))
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
            seconds[key],
        )
    return found


def _list(table: pa.Table) -> list[dict[str, Any]]:
    """List the rows of a table."""
    return table.to_pylist() if len(table) else []  # pyarrow loads pandas for an empty column


def _by_trial(table: pa.Table) -> tuple[list[str], NDArray[np.int32]]:
    """Return the trials of a table's rows, each once, and for each row the place of its trial among them."""
    encoded = table["trial"].combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def _keys(table: pa.Table, column: str) -> dict[str, frozenset[str]]:
    """Collect the keys in a column by trial."""
    if not len(table):
        return {}
    trials, places = _by_trial(table)
    found: list[list[str]] = [[] for _ in trials]
    for place, key in zip(places.tolist(), table[column].to_pylist(), strict=True):
        found[place].append(key)
    return dict(zip(trials, map(frozenset, found), strict=True))


def _evaluated(table: pa.Table, whole: Container[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Collect the keys of evaluations by trial."""
    found: dict[str, set[str]] = {}
    if len(table):
        trials, parts, keys = (table[name].to_pylist() for name in ("trial", "part", "evaluation"))
        for trial, part, key in zip(trials, parts, keys, strict=True):
            if (trial, part) in whole:
                found.setdefault(trial, set()).add(key)
    return {trial: frozenset(keys) for trial, keys in found.items()}


def _seconds(tables: Iterable[pa.Table]) -> Counter[str]:
    """Add up the seconds of each trial: what one run computed is in several rows, all of which have the run's seconds."""
    added: Counter[str] = Counter()
    for table in filter(len, tables):
        trials, places = _by_trial(table)
        seconds = np.nan_to_num(table["seconds"].to_numpy())
        order = np.lexsort((seconds, places))
        places, seconds = places[order], seconds[order]
        same = (places[1:] == places[:-1]) & (seconds[1:] == seconds[:-1])
        seconds[1:][same] = 0.0
        totals = np.bincount(places, weights=seconds, minlength=len(trials))
        added.update(dict(zip(trials, totals.tolist(), strict=True)))
    return added
