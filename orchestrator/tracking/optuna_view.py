"""Optuna as a view of the record: a study of Optuna's for every study that was run, with a trial for each arm and seed.

Optuna's dashboard and importance evaluators work on it. It can be updated from the record at any time: a trial is added once;
because Optuna never changes a finished trial, a study that differs from the record is deleted and created again.
"""

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn
from analysis.record.schema import Status
from orchestrator.errors import Unavailable
from orchestrator.record.store import Store

# Metric names are needed, and a warning on the terminal would break the live view.
warnings.filterwarnings("ignore", ".*set_metric_names is experimental", ExperimentalWarning)

#: User attributes of a study: the identity of the storage that it shows, and its columns, factors and checkpoint.
STORAGE, SHOWN = "advsweep.storage", "advsweep.shown"

#: User attributes of a trial: its key in the record, its seed, its arm, why it has no values, and a digest of what it shows.
TRIAL_KEY, SEED, ARM, REASON, SYNCED = "trial", "seed", "arm", "reason", "advsweep.synced"


class Numbers(Protocol):
    """The numbers of tables; :class:`analysis.cells.CellReader` implements it."""

    def missing(self, trial: str) -> str | None:
        """Return why a trial is not finished; None if it is."""

    def value(self, trial: str, checkpoint: str, arm: ManifestArm, column: ManifestColumn) -> float | None:
        """Return the number of a trial of ``arm`` in ``column``; None if the record does not hold it."""


#: Reads the numbers of the trials with these keys.
NumbersOf = Callable[[Collection[str]], Numbers]


def objectives(manifest: Manifest) -> tuple[ManifestColumn, ...]:
    """Return the columns that Optuna maximises: final accuracies of the study itself that every row has; none without rows."""
    return tuple(
        column
        for column in manifest.columns
        if column.kind == "accuracy" and column.head == "final" and not column.added
        if manifest.arms and all(arm.reads.get(column.label) for arm in manifest.arms)
    )


@dataclass(frozen=True)
class _Repetition:
    """One seed of an arm of a study: ``trial`` is the key of its trial."""

    arm: ManifestArm
    seed: str
    trial: str

    def synced(self, row: Mapping[str, Any], columns: Sequence[ManifestColumn], reason: str = "") -> str:
        """Return a digest of what Optuna shows: of where the values are read from, or of the ``reason`` why there are none.

        Values stay the same as long as they are read from the same evaluations of a trial that was not trained again.
        """
        reads = {} if reason else {c.label: [asdict(read) for read in self.arm.reads[c.label]] for c in columns}
        state = [self.trial, row["created"].isoformat(), reads, reason]
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]


#: Identifies a repetition in its study: the arm's labels, and the seed.
_ArmAndSeed = tuple[tuple[str, ...], str]


class OptunaView:
    """Updates Optuna's studies from the record.

    A study has the name of the one that was run, with its variant: ``cifs/table-1 (demo)``. Its parameters are the factors, its
    values accuracies in percent at the checkpoint that the paper shows (the last one, if it shows both). A failed trial has its
    reason; a trial that is unfinished or lacks an evaluation is not added yet.

    ``numbers``: reads the values from the record.
    """

    name = "Optuna"

    def __init__(self, storage: BaseStorage, store: Store, numbers: NumbersOf) -> None:
        self._storage = storage
        self._store = store
        self._numbers = numbers

    def sync(self, live: Collection[str] | None, only: Collection[str] | None = None) -> int:
        """Update Optuna's studies.

        Args:
            live: has no effect: running trials are not added.
            only: keys of the trials to update; None for all.

        Returns:
            the number of trials that were added.

        Raises:
            Unavailable: a study of the same name shows something else; it is not changed, and all others are updated.
        """
        added, refused = 0, []
        with self._store.exclusively("sync", timeout=120, part="optuna"):
            for manifest in self._store.manifests():
                if objectives(manifest) and (only is None or not manifest.trials.isdisjoint(only)):
                    try:
                        added += self._update(manifest, only)
                    except Unavailable as error:
                        refused.append(error)
        if refused:
            raise refused[0]
        return added

    def _update(self, manifest: Manifest, only: Collection[str] | None) -> int:
        """Add the trials that a study lacks, after creating it again if it differs from the record; return how many."""
        study = self._study(manifest)
        trials = study.get_trials(deepcopy=False)
        shown = {_arm_and_seed(trial, manifest): trial for trial in trials}
        planned = {(arm.labels, seed): _Repetition(arm, seed, key) for arm in manifest.arms for seed, key in arm.trials.items()}
        checked = {key: repetition for key, repetition in planned.items() if only is None or repetition.trial in only}
        current = self._current(manifest, checked, shown)
        wrong = [
            trial
            for key, trial in shown.items()
            if key not in planned or (key in checked and _synced(trial) != _synced(current.get(key)))
        ]
        if wrong or len(shown) < len(trials):
            self._delete(study)
            return self._update(manifest, None)
        new = [trial for key, trial in current.items() if key not in shown]
        study.add_trials(new)
        return len(new)

    def _current(
        self,
        manifest: Manifest,
        repetitions: Mapping[_ArmAndSeed, _Repetition],
        shown: Mapping[_ArmAndSeed, FrozenTrial],
    ) -> dict[_ArmAndSeed, FrozenTrial]:
        """Return the trials that the record holds of these repetitions; those that are shown unchanged are not read again."""
        columns = objectives(manifest)
        rows = {key: row for key in {r.trial for r in repetitions.values()} if (row := self._store.read_trial(key))}
        current = {
            key: shown[key]
            for key, r in repetitions.items()
            if key in shown and r.trial in rows and _synced(shown[key]) == r.synced(rows[r.trial], columns)
        }
        ended = {
            key: r
            for key, r in repetitions.items()
            if key not in current and r.trial in rows and rows[r.trial]["status"] in {Status.FINISHED, Status.FAILED}
        }
        if not ended:
            return current
        numbers = self._numbers({r.trial for r in ended.values()})
        for key, r in ended.items():
            row, values = rows[r.trial], _values(numbers, manifest, r)
            # A trial that failed under another study's attack has its values nevertheless, as in the tables.
            if values or row["status"] == Status.FAILED:
                current[key] = _trial(manifest, r, row, values)
        return current

    def _study(self, manifest: Manifest) -> Study:
        """Open the study that shows a manifest; create it if there is none, or if its columns, factors or checkpoint differ.

        Raises:
            Unavailable: the study of this name shows another storage, or is not a view.
        """
        name, labels = manifest.full_name, [column.label for column in objectives(manifest)]
        shown = {
            "title": manifest.title,
            "checkpoint": _checkpoint(manifest),
            "columns": labels,
            "factors": {factor: list(choices) for factor, choices in _choices(manifest).items()},
        }
        directions = [StudyDirection.MAXIMIZE] * len(labels)
        try:
            study = optuna.load_study(study_name=name, storage=self._storage)
        except KeyError:
            study = optuna.create_study(study_name=name, storage=self._storage, directions=directions)
        here, attributes = self._store.identity(), study.user_attrs
        # An empty study may come from a process that died while it created the study.
        untouched = not attributes and study.directions == directions and not study.get_trials(deepcopy=False)
        if attributes.get(STORAGE) != here and not untouched:
            whose = "shows another --storage" if STORAGE in attributes else "was not made by `advsweep run`"
            raise Unavailable(
                f"Optuna's study {name!r} {whose} and is left as it is; delete it, or give another storage with --optuna"
            )
        if attributes.get(SHOWN) == shown:
            return study
        if not untouched:
            self._delete(study)
            study = optuna.create_study(study_name=name, storage=self._storage, directions=directions)
        study.set_user_attr(STORAGE, here)
        study.set_metric_names(labels)
        study.set_user_attr(SHOWN, shown)
        return study

    def _delete(self, study: Study) -> None:
        optuna.delete_study(study_name=study.study_name, storage=self._storage)


def _checkpoint(manifest: Manifest) -> str:
    """Return the checkpoint whose accuracies are shown."""
    return "last" if manifest.checkpoint == "both" else manifest.checkpoint


def _choices(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Return every label of each factor, including those of baselines."""
    columns = zip(*(arm.labels for arm in manifest.arms), strict=True)
    return {factor: tuple(dict.fromkeys(labels)) for factor, labels in zip(manifest.factors, columns, strict=True)}


def _arm_and_seed(trial: FrozenTrial, manifest: Manifest) -> _ArmAndSeed:
    return tuple(str(trial.params.get(factor)) for factor in manifest.factors), str(trial.user_attrs.get(SEED))


def _synced(trial: FrozenTrial | None) -> str | None:
    return trial.user_attrs.get(SYNCED) if trial else None


def _values(numbers: Numbers, manifest: Manifest, repetition: _Repetition) -> list[float] | None:
    """Return a repetition's value in each column, in percent; None if any is missing."""
    if numbers.missing(repetition.trial):
        return None
    checkpoint = _checkpoint(manifest)
    found = [numbers.value(repetition.trial, checkpoint, repetition.arm, column) for column in objectives(manifest)]
    values = [value for value in found if value is not None and math.isfinite(value)]
    return values if len(values) == len(found) else None


def _trial(manifest: Manifest, repetition: _Repetition, row: Mapping[str, Any], values: list[float] | None) -> FrozenTrial:
    """Make a finished trial of Optuna's, or a failed one if there are no values."""
    reason = "" if values else row["reason"] or "failed"
    attributes = {TRIAL_KEY: repetition.trial, SEED: int(repetition.seed)}
    attributes[ARM] = " ".join(repetition.arm.labels) or manifest.title
    attributes |= {REASON: reason} if reason else {}
    trial = create_trial(
        state=TrialState.COMPLETE if values else TrialState.FAIL,
        values=values,
        params=dict(zip(manifest.factors, repetition.arm.labels, strict=True)),
        distributions={factor: CategoricalDistribution(choices) for factor, choices in _choices(manifest).items()},
        user_attrs={**attributes, SYNCED: repetition.synced(row, objectives(manifest), reason)},
    )
    # Optuna's times are local times without a time zone.
    trial.datetime_start, trial.datetime_complete = (
        row[name].astimezone().replace(tzinfo=None) for name in ("created", "updated")
    )
    return trial
