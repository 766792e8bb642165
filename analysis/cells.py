"""The number that a trial has in a column of a table, read from the record."""

from collections.abc import Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.curves import accuracy_by_eps, normalised_auc
from analysis.numerics import Versions, changed
from analysis.record.files import BrokenRecordError
from analysis.record.load import Record
from analysis.record.manifest import ManifestArm, ManifestColumn, Read
from analysis.record.schema import Status
from analysis.stats import over_beta


class CellReader:
    """Reads the number of one trial in one column from the record.

    Args:
        record: the frames of the storage.
        per_sample: whether an attack with several beta_atk counts by each example's worst case, and not by its lowest accuracy.
        present: versions of the code that would compute the numbers now; :meth:`outdated` names what is of other versions.

    Attributes:
        examples: numbers of test examples behind the accuracies that have been read.
    """

    def __init__(self, record: Record, per_sample: bool, present: Versions = MappingProxyType({})) -> None:
        self.per_sample, self._present = per_sample, present
        self.examples: set[int] = set()
        self._trials: dict[str, Any] = dict(zip(record.trials["trial"], record.trials.itertuples(), strict=True))
        self._outcomes = record.outcomes
        e, m = record.evaluations, record.measures
        keys = zip(e["trial"], e["checkpoint"], e["attack"], e["head"], e["complete"], strict=True)
        self._numerics = dict(zip(zip(e["trial"], e["checkpoint"], e["attack"], strict=True), e["numerics"], strict=True))
        self._evaluations: dict[tuple[str, str, str, str, bool], Any] = dict(zip(keys, e.itertuples(), strict=True))
        measured = zip(m["trial"], m["checkpoint"], m["measure"], m["array"], strict=True)
        self._arrays = dict(zip(measured, m["values"], strict=True))
        f = record.failures
        self._failures = dict(zip(zip(f["trial"], f["checkpoint"], f["attack"], strict=True), f["reason"], strict=True))
        self._record = record

    @cached_property
    def _epoch_seconds(self) -> dict[str, float]:
        return {str(trial): mean for trial, mean in self._record.epochs.groupby("trial")["seconds"].mean().items()}

    def outdated(self, trial: str, checkpoint: str, arm: ManifestArm) -> tuple[str, ...]:
        """Name what computed a trial's numbers and has another version now, such as ``objective 'afd'``."""
        found = [*changed(self._trials[trial].versions, self._present)]
        for reads in arm.reads.values():
            for read in reads:
                found += changed(self._numerics.get((trial, checkpoint, read.attack)), self._present)
        return tuple(dict.fromkeys(found))

    def value(self, trial: str, checkpoint: str, arm: ManifestArm, column: ManifestColumn) -> float | None:
        """Read the number that a trial of ``arm`` has in ``column``; None while an evaluation that it needs is missing.

        Raises:
            BrokenRecordError: an accuracy contradicts its ranks, or attacks of one number ran on different examples.
        """
        if column.label in arm.training:
            return self._epoch_seconds.get(trial)
        if measure := arm.measures.get(column.label):
            values = self._arrays.get((trial, checkpoint, measure, column.array))
            return None if values is None else _statistic(np.asarray(values, np.float64), column)
        reads = arm.reads[column.label]
        found = [self._evaluation(trial, checkpoint, read.attack, column) for read in reads]
        there = [row for row in found if row is not None]
        if len(there) < len(found):
            return None
        self.examples.update(int(row.examples) for row in there)
        if column.kind == "cost":
            return float(there[0].seconds)
        if column.kind == "area":
            return self._area(reads, there)
        if column.only is not None:
            # The record holds a class's accuracy, and not which examples are in it: the worst case is the worst attack's.
            return 100 * min(float(row.class_accuracy[column.only]) for row in there)
        if len({row.examples for row in there}) > 1:
            attacks = ", ".join(read.attack for read in reads)
            raise BrokenRecordError(f"trial {trial}: attacks {attacks} were run on different numbers of examples")
        per_sample = self.per_sample or column.kind == "ensemble"
        if column.top_k == 1 and not (per_sample and len(there) > 1):
            return 100 * min(float(row.accuracy) for row in there)
        reduced = over_beta(np.stack([self._outcomes.of(row).ranks for row in there]), column.top_k)
        return 100 * (reduced.per_sample if per_sample else reduced.minimum)

    def _area(self, reads: Sequence[Read], rows: Sequence[Any]) -> float:
        points = sorted(
            ((read.eps, row) for read, row in zip(reads, rows, strict=True) if read.eps is not None), key=lambda point: point[0]
        )
        # An attack for the smallest change finds the eps at which each example breaks, and so accuracy at every eps.
        accuracies = [row.accuracy if pd.isna(row.median_distance) else self._at(row, eps) for eps, row in points]
        return normalised_auc([eps for eps, _ in points], accuracies)

    def _at(self, row: Any, eps: float) -> float:
        """Compute accuracy at an eps from the distances that a minimal-norm attack found."""
        return float(accuracy_by_eps(np.asarray(self._outcomes.of(row).distance), [eps])[0])

    def _evaluation(self, trial: str, checkpoint: str, attack: str, column: ManifestColumn) -> Any:
        """Find the evaluation that the column shows. Where only accuracy is needed, a complete evaluation serves as well."""
        ways = (True,) if column.complete else (False, True)
        keys = [(trial, checkpoint, attack, column.head, complete) for complete in ways]
        return next((self._evaluations[key] for key in keys if key in self._evaluations), None)

    def missing(self, trial: str) -> str | None:
        """Say why the trial is not trained to its end; None if it is."""
        row = self._trials.get(trial)
        if row is None:
            return "not started"
        epochs = row.config["training"]["epochs"]
        if row.epochs >= epochs:
            return None
        stopped = row.reason if row.status == Status.EARLY_STOPPED else None
        return stopped or self.reason(trial) or f"unfinished (epoch {row.epochs} of {epochs})"

    def lacking(self, trial: str, checkpoint: str, arm: ManifestArm, column: ManifestColumn) -> str:
        """Say why a trial that is trained to its end has no number in ``column``."""
        reads = [read.attack for read in arm.reads.get(column.label, ())]
        needed = [(trial, checkpoint, key) for key in (*reads, arm.measures.get(column.label, ""))]
        failed = next((self._failures[key] for key in needed if key in self._failures), None)
        return f"failed: {failed}" if failed else self.reason(trial) or "not evaluated yet"

    def reason(self, trial: str) -> str | None:
        """Say why the trial failed; None if it did not."""
        row = self._trials[trial]
        return (row.reason or "failed") if row.status == Status.FAILED else None


def _statistic(values: NDArray[np.float64], column: ManifestColumn) -> float:
    """Reduce a measure's array; nan where it has no number, such as an angle between perturbations of which each has a zero."""
    numbers = values[~np.isnan(values)]
    if not len(numbers):
        return float("nan")
    return column.times * float(np.median(numbers) if column.statistic == "median" else np.mean(numbers))
