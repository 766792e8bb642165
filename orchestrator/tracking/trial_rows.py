"""What views show of trials, read from the record for many trials at once."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.record.files import BrokenRecordError
from analysis.record.names import FileName, newest
from analysis.record.rows import Listed, rows
from analysis.record.schema import EVALUATIONS, FAILURES, MEASURES, TRIAL
from orchestrator.errors import Unavailable
from orchestrator.record.store import Store

#: Trials that are read at once.
_MANY = 250

_EVALUATION = ("evaluation", "trial", "checkpoint", "epoch", "attack_spec", "beta_atk", "head", "accuracy", "finished")
_TABLES = {
    "trial": TRIAL,
    "evaluations": pa.schema([EVALUATIONS.field(name) for name in _EVALUATION]),
    "measures": MEASURES,
    "failures": FAILURES,
}


@dataclass
class TrialRows:
    """A trial's ``row``, its ``evaluations`` of the final prediction, and its ``measures`` with their flat ``values``.

    ``failures``: evaluations and measurements that have failed and have no number, by their keys, each with its last reason.
    """

    row: Mapping[str, Any] = field(default_factory=dict)
    evaluations: list[Mapping[str, Any]] = field(default_factory=list)
    measures: list[Mapping[str, Any]] = field(default_factory=list)
    failures: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def failed(self) -> str:
        """What failed and why, for people; "" if nothing did."""
        return "; ".join(f"{row['label']} ({row['checkpoint']}): {row['reason']}" for row in self.failures.values())


def read_trials(store: Store, listed: Listed) -> Iterator[tuple[str, TrialRows | str]]:
    """Yield each trial's key with what it shows, or with the reason why it cannot be read.

    ``listed``: the trials' files.
    """
    keys = sorted(listed)
    for begin in range(0, len(keys), _MANY):
        yield from _read({key: listed[key] for key in keys[begin : begin + _MANY]}, store)


def _read(listed: Listed, store: Store) -> Iterator[tuple[str, TrialRows | str]]:
    try:
        tables = rows(store, listed, _TABLES)
    except (BrokenRecordError, Unavailable) as error:
        if len(listed) == 1:
            yield from ((key, str(error)) for key in listed)
            return
        for key, names in listed.items():  # one damaged file stops no other trial
            yield from _read({key: names}, store)
        return
    found = {row["trial"]: TrialRows(row) for row in tables["trial"].to_pylist()}
    for row in tables["evaluations"].to_pylist():
        if row["head"] == "final" and row["trial"] in found:
            found[row["trial"]].evaluations.append(row)
    for row in tables["measures"].to_pylist():
        if row["trial"] in found:
            found[row["trial"]].measures.append({**row, "values": np.asarray(row["values"], np.float64)})
    for row in sorted(tables["failures"].to_pylist(), key=lambda row: row["finished"]):
        if row["trial"] in found:
            found[row["trial"]].failures[row["evaluation"]] = row
    for trial in found.values():
        for row in (*trial.evaluations, *trial.measures):
            trial.failures.pop(row.get("evaluation") or row["measurement"], None)
    yield from found.items()


def state_of(names: Sequence[FileName], *more: Any) -> str:
    """Return a digest of a trial's files, whose names carry digests of their bytes, and of what ``more`` a view shows."""
    files = [str(name) for name in newest(names, *_TABLES)]
    return hashlib.sha256(json.dumps([files, *more]).encode()).hexdigest()[:16]
