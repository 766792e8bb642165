"""The number that a trial has in a column of a table, read from the record."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.curves import accuracy_by_eps, normalised_auc
from analysis.load import BrokenRecordError, Record
from analysis.manifest import ManifestArm, ManifestColumn, Read
from analysis.numerics import Versions, changed
from analysis.schema import Status
from analysis.stats import over_beta


class _Outcome(NamedTuple):
    """The result of one evaluation, as the record holds it."""

    accuracy: float
    ranks: NDArray[np.integer]
    distance: Any
    class_accuracy: Any
    seconds: float


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
        e, m = record.evaluations, record.measures
        keys = zip(e["trial"], e["checkpoint"], e["attack"], e["head"], e["complete"], strict=True)
        rows = zip(e["accuracy"], e["ranks"], e["distance"], e["class_accuracy"], e["seconds"], strict=True)
        self._numerics = dict(zip(zip(e["trial"], e["checkpoint"], e["attack"], strict=True), e["numerics"], strict=True))
        self._outcomes = {key: _Outcome(*row) for key, row in zip(keys, rows, strict=True)}
        measured = zip(m["trial"], m["checkpoint"], m["measure"], m["array"], strict=True)
        self._arrays = dict(zip(measured, m["values"], strict=True))
        self._epoch_seconds = record.epochs.groupby("trial")["seconds"].mean().to_dict()

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
        found = [self._outcome(trial, checkpoint, read.attack, column) for read in reads]
        there = [outcome for outcome in found if outcome is not None]
        if len(there) < len(found):
            return None
        if column.kind == "cost":
            return there[0].seconds
        if column.kind == "area":
            return self._area(reads, there)
        if column.only is not None:
            # The record holds a class's accuracy, and not which examples are in it: the worst case is the worst attack's.
            return 100 * min(float(outcome.class_accuracy[column.only]) for outcome in there)
        if len({len(outcome.ranks) for outcome in there}) > 1:
            attacks = ", ".join(read.attack for read in reads)
            raise BrokenRecordError(f"trial {trial}: attacks {attacks} were run on different numbers of examples")
        reduced = over_beta(np.stack([outcome.ranks for outcome in there]), column.top_k)
        return 100 * (reduced.per_sample if self.per_sample or column.kind == "ensemble" else reduced.minimum)

    @staticmethod
    def _area(reads: Sequence[Read], outcomes: Sequence[_Outcome]) -> float:
        there = zip(reads, outcomes, strict=True)
        points = sorted(((read.eps, outcome) for read, outcome in there if read.eps is not None), key=lambda point: point[0])
        # An attack for the smallest change finds the eps at which each example breaks, and so accuracy at every eps.
        accuracies = [
            outcome.accuracy if outcome.distance is None else float(accuracy_by_eps(outcome.distance, [eps])[0])
            for eps, outcome in points
        ]
        return normalised_auc([eps for eps, _ in points], accuracies)

    def _outcome(self, trial: str, checkpoint: str, attack: str, column: ManifestColumn) -> _Outcome | None:
        """Find the evaluation that the column shows. Where only accuracy is needed, a complete evaluation serves as well."""
        ways = (True,) if column.complete else (False, True)
        keys = [(trial, checkpoint, attack, column.head, complete) for complete in ways]
        outcome = next((self._outcomes[key] for key in keys if key in self._outcomes), None)
        if outcome is None:
            return None
        accuracy, ranks = outcome.accuracy, outcome.ranks
        if len(ranks) == 0 or not np.isclose(np.mean(ranks == 0), accuracy, rtol=0, atol=1e-6):
            where = f"trial {trial}, {checkpoint} checkpoint, attack {attack}, head {column.head}"
            raise BrokenRecordError(f"{where}: accuracy {accuracy} is not that of its {len(ranks)} ranks")
        self.examples.add(len(ranks))
        return outcome

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
