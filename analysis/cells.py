"""The numbers that trials have in a column of a table, read from the record."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.curves import accuracy_by_eps, normalised_auc
from analysis.numerics import Versions, changed
from analysis.record.columns import codes, combined, numbers, texts
from analysis.record.fields import Fields
from analysis.record.files import BrokenRecordError
from analysis.record.load import Record, parsed
from analysis.record.manifest import ManifestArm, ManifestColumn, Read
from analysis.record.outcomes import Outcome
from analysis.record.schema import Status
from analysis.stats import over_beta


class Numbers(NamedTuple):
    """The numbers of some trials in one column: ``values`` (N,), and which of them are ``there`` (N,)."""

    values: NDArray[np.float64]
    there: NDArray[np.bool_]


class _Row(NamedTuple):
    """The keys of an evaluation, by which its outcomes are found, and its accuracy."""

    trial: str
    part: str
    evaluation: str
    checkpoint: str
    attack: str
    head: str
    accuracy: float


class CellReader:
    """Reads the numbers of trials in a column from the record.

    Args:
        record: the tables of the storage.
        per_sample: whether an attack with several beta_atk counts by each example's worst case, and not by its lowest accuracy.
        present: versions of the code that would compute the numbers now; :meth:`outdated` names what is of other versions.

    Attributes:
        examples: numbers of test examples behind the accuracies that have been read.
    """

    def __init__(self, record: Record, per_sample: bool, present: Versions = MappingProxyType({})) -> None:
        self.per_sample, self._present = per_sample, present
        self.examples: set[int] = set()
        self._record, self._outcomes = record, record.outcomes
        t, e, m, f = (record.tables[name] for name in ("trial", "evaluations", "measures", "failures"))
        self._place = {key: place for place, key in enumerate(texts(t, "trial"))}
        self._status, self._epochs, self._reasons = texts(t, "status"), numbers(t, "epochs"), texts(t, "reason")
        self._evaluations = e
        self._accuracy, self._counts, self._seconds = (numbers(e, name) for name in ("accuracy", "examples", "seconds"))
        self._by_last, self._steps, self._draws = (numbers(e, name) for name in ("last_accuracy", "gradient_steps", "draws"))
        self._rows = _RowsByAttack(record)
        measured = zip(*(texts(m, name) for name in ("trial", "checkpoint", "measure", "array")), strict=True)
        self._arrays = {keys: row for row, keys in enumerate(measured)}
        failed = zip(*(f[name].to_pylist() for name in ("trial", "checkpoint", "attack")), strict=True)
        self._failures = dict(zip(failed, f["reason"].to_pylist(), strict=True))

    @cached_property
    def _epoch_seconds(self) -> Mapping[str, float]:
        return {str(trial): mean for trial, mean in self._record.epochs.groupby("trial")["seconds"].mean().items()}

    @cached_property
    def _asked(self) -> list[int]:
        """How many epochs each trial's configuration asks for."""
        config = codes(self._record.tables["trial"], "config")
        asked = [fields["training"]["epochs"] if fields else 0 for fields in parsed(config, Fields, "config")]
        return [asked[code] for code in config.of]

    @cached_property
    def _older(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]], NDArray[np.int64]]:
        """What has another version now, by trial; and by the numerics of evaluations, of which the last gives each one's."""
        versions, numerics = codes(self._record.tables["trial"], "versions"), codes(self._evaluations, "numerics")
        by_trial = [changed(text, self._present) for text in versions.texts]
        return [by_trial[code] for code in versions.of], [changed(text, self._present) for text in numerics.texts], numerics.of

    def outdated(self, trials: Sequence[str], checkpoint: str, arm: ManifestArm) -> list[tuple[str, ...]]:
        """Name for each trial what computed its numbers and has another version now, such as ``objective 'afd'``."""
        by_trial, by_numerics, numerics = self._older
        found = [[*by_trial[self._place[trial]]] for trial in trials]
        if any(by_numerics):
            attacks = dict.fromkeys(read.attack for reads in arm.reads.values() for read in reads)
            for attack in attacks:
                for i, row in enumerate(self._rows.find(trials, checkpoint, attack, None, False)):
                    found[i] += by_numerics[numerics[row]] if row >= 0 else ()
        return [tuple(dict.fromkeys(names)) for names in found]

    def value(self, trial: str, checkpoint: str, arm: ManifestArm, column: ManifestColumn) -> float | None:
        """Read the number that one trial has in ``column`` by any iterate; None while something is missing."""
        (number,), (there,) = self.numbers([trial], checkpoint, arm, column)
        return float(number) if there else None

    def numbers(
        self, trials: Sequence[str], checkpoint: str, arm: ManifestArm, column: ManifestColumn, *, last: bool = False
    ) -> Numbers:
        """Read the number that each of some trials of ``arm`` has in ``column``, where no evaluation that it needs is missing.

        ``last``: whether columns that say so count by the last iterate; otherwise every column counts by any.

        Raises:
            BrokenRecordError: an accuracy contradicts its ranks, or attacks of one number ran on different examples.
        """
        if column.label in arm.training:
            return _numbers([self._epoch_seconds.get(trial) for trial in trials])
        if measure := arm.measures.get(column.label):
            arrays = [self._arrays.get((trial, checkpoint, measure, column.array)) for trial in trials]
            return _numbers([None if row is None else _statistic(self._array(row), column) for row in arrays])
        reads, last = arm.reads[column.label], last and column.last
        rows = np.stack([self._find(trials, checkpoint, read.attack, column, last) for read in reads])
        there = np.asarray((rows >= 0).all(axis=0))
        values = np.full(len(trials), np.nan)
        if there.any():
            found = rows[:, there]
            self.examples.update(np.unique(self._counts[found]).tolist())
            values[there] = self._of_rows(found, reads, column, last)
        return Numbers(values, there)

    def _find(
        self, trials: Sequence[str], checkpoint: str, attack: str, column: ManifestColumn, last: bool
    ) -> NDArray[np.int64]:
        """Find the row of each trial's evaluation, -1 where there is none; ``last``: one that knows its last iterate.

        That is a complete one, but for attacks that count no gradient steps and for networks that draw.
        """
        if column.complete or not last:
            return self._rows.find(trials, checkpoint, attack, column.head, column.complete)
        complete, any_row = (self._rows.find(trials, checkpoint, attack, column.head, whole) for whole in (True, False))
        serves = (any_row >= 0) & (np.isnan(self._steps[any_row]) | ~np.isnan(self._draws[any_row]))
        return np.where(complete >= 0, complete, np.where(serves, any_row, -1))

    def _of_rows(
        self, rows: NDArray[np.int64], reads: Sequence[Read], column: ManifestColumn, last: bool
    ) -> NDArray[np.float64]:
        """Compute the numbers of some trials from the ``rows`` (reads, trials) of their evaluations."""
        if column.kind == "cost":
            return np.asarray(self._seconds[rows[0]], np.float64)
        if column.kind == "area":
            return np.array([self._area(reads, of) for of in rows.T])
        if column.only is not None:
            # The record holds a class's accuracy, and not which examples are in it: the worst case is the worst attack's.
            classes = self._evaluations["class_accuracy"].take(rows.ravel())
            only = pc.list_element(classes.combine_chunks(), column.only).to_numpy(zero_copy_only=False)
            return np.asarray(100 * only.astype(np.float64).reshape(rows.shape).min(axis=0))
        self._check_examples(rows, reads)
        per_sample = self.per_sample or column.kind == "ensemble"
        if column.top_k == 1 and not (per_sample and len(rows) > 1):
            by_last = self._by_last[rows]
            accuracy = np.where(last & ~np.isnan(by_last), by_last, self._accuracy[rows])
            return np.asarray(100 * accuracy.min(axis=0))
        found = (over_beta(np.stack([self._outcome(row).counted(last) for row in of]), column.top_k) for of in rows.T)
        return np.array([100 * (reduced.per_sample if per_sample else reduced.minimum) for reduced in found])

    def _check_examples(self, rows: NDArray[np.int64], reads: Sequence[Read]) -> None:
        counts = self._counts[rows]
        for row in rows[0, (counts != counts[0]).any(axis=0)]:
            attacks = ", ".join(read.attack for read in reads)
            trial = self._row(row).trial
            raise BrokenRecordError(f"trial {trial}: attacks {attacks} were run on different numbers of examples")

    def _area(self, reads: Sequence[Read], rows: NDArray[np.int64]) -> float:
        points = sorted(
            ((read.eps, row) for read, row in zip(reads, rows, strict=True) if read.eps is not None), key=lambda point: point[0]
        )
        distances = numbers(self._evaluations, "median_distance")
        # An attack for the smallest change finds the eps at which each example breaks, and so accuracy at every eps.
        accuracies = [self._accuracy[row] if np.isnan(distances[row]) else self._at(row, eps) for eps, row in points]
        return normalised_auc([eps for eps, _ in points], accuracies)

    def _at(self, row: int, eps: float) -> float:
        """Compute accuracy at an eps from the distances that a minimal-norm attack found."""
        return float(accuracy_by_eps(np.asarray(self._outcome(row).distance), [eps])[0])

    def _outcome(self, row: int) -> Outcome:
        return self._outcomes.of(self._row(row))

    def _row(self, row: int) -> _Row:
        return _Row(*(self._evaluations[name][int(row)].as_py() for name in _Row._fields))

    def _array(self, row: int) -> NDArray[np.float64]:
        return np.asarray(self._record.tables["measures"]["values"][row].values.to_numpy(zero_copy_only=False), np.float64)

    def missing(self, trial: str) -> str | None:
        """Say why the trial is not trained to its end; None if it is."""
        place = self._place.get(trial)
        if place is None:
            return "not started"
        epochs = self._epochs[place]
        if self._status[place] == Status.FINISHED or epochs >= self._asked[place]:
            return None
        stopped = self._reasons[place] if self._status[place] == Status.EARLY_STOPPED else None
        return stopped or self.reason(trial) or f"unfinished (epoch {epochs} of {self._asked[place]})"

    def lacking(self, trial: str, checkpoint: str, arm: ManifestArm, column: ManifestColumn) -> str:
        """Say why a trial that is trained to its end has no number in ``column``."""
        reads = [read.attack for read in arm.reads.get(column.label, ())]
        needed = [(trial, checkpoint, key) for key in (*reads, arm.measures.get(column.label, ""))]
        failed = next((self._failures[key] for key in needed if key in self._failures), None)
        return f"failed: {failed}" if failed else self.reason(trial) or "not evaluated yet"

    def reason(self, trial: str) -> str | None:
        """Say why the trial failed; None if it did not."""
        place = self._place[trial]
        return (self._reasons[place] or "failed") if self._status[place] == Status.FAILED else None


class _RowsByAttack:
    """Finds the rows of evaluations by trial, checkpoint, attack and head."""

    def __init__(self, record: Record) -> None:
        e = record.tables["evaluations"]
        trial, *keys = (codes(e, name) for name in ("trial", "checkpoint", "attack", "head"))
        self._trial, self._trials = trial.of, {key: code for code, key in enumerate(trial.texts)}
        groups = combined(*keys) * 2 + numbers(e, "complete").astype(np.int64)
        self._order = np.argsort(groups, kind="stable")
        found, starts = np.unique(groups[self._order], return_index=True)
        self._found: dict[tuple[str, str, str | None, bool], NDArray[np.int64]] = {}
        self._groups: dict[tuple[str | None, str | None], list[tuple[str | None, bool, slice]]] = {}
        _, attacks, heads = (column.texts for column in keys)
        for group, start, end in zip(found.tolist(), starts.tolist(), [*starts.tolist(), len(groups)][1:], strict=True):
            rest, complete = divmod(group, 2)
            rest, head = divmod(rest, len(keys[2]))
            checkpoint, attack = divmod(rest, len(keys[1]))
            of = self._groups.setdefault((keys[0].texts[checkpoint], attacks[attack]), [])
            of.append((heads[head], bool(complete), slice(start, end)))

    def find(self, trials: Sequence[str], checkpoint: str, attack: str, head: str | None, complete: bool) -> NDArray[np.int64]:
        """Find a row for each trial, -1 where there is none; ``head``: None for any.

        An incomplete evaluation serves first, unless it must be ``complete``.
        """
        key = checkpoint, attack, head, complete
        if key not in self._found:
            groups = [(whole, at) for of, whole, at in self._groups.get((checkpoint, attack), ()) if head in {None, of}]
            self._found[key] = self._last([at for whole, at in sorted(groups, key=lambda g: -g[0]) if whole or not complete])
        # The last place is of no trial: None, and those that the record does not hold.
        return self._found[key][[self._trials.get(trial, -1) for trial in trials]]

    def _last(self, groups: Sequence[slice]) -> NDArray[np.int64]:
        """Find for each trial its row in the last of some groups that has one."""
        rows = np.full(len(self._trials), -1, np.int64)
        for at in groups:
            rows[self._trial[self._order[at]]] = self._order[at]
        return rows


def _numbers(found: Sequence[float | None]) -> Numbers:
    there = np.array([number is not None for number in found], bool)
    return Numbers(np.array([np.nan if number is None else number for number in found], np.float64), there)


def _statistic(values: NDArray[np.float64], column: ManifestColumn) -> float:
    """Reduce a measure's array; nan where it has no number, such as an angle between perturbations of which each has a zero."""
    numbers = values[~np.isnan(values)]
    if not len(numbers):
        return float("nan")
    return column.times * float(np.median(numbers) if column.statistic == "median" else np.mean(numbers))
