"""Optuna as a view of the record: a study of Optuna's for every study that was run, with a trial for each arm and seed.

Optuna's dashboard and importance evaluators work on it. It can be updated from the record at any time: a trial is added once;
because Optuna never changes a finished trial, a study that differs from the record is deleted and created again.
"""

import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, Self

import optuna
import pyarrow as pa
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn
from analysis.record.rows import rows as read_rows
from analysis.record.schema import TRIAL, Status
from orchestrator.errors import Unavailable
from orchestrator.record.store import Store
from orchestrator.tracking.optuna_storage import default_url, open_own, open_storage
from orchestrator.tracking.optuna_study import SYNCED, Repetition, Shown, objectives

# Metric names are needed, and a warning on the terminal would break the live view.
warnings.filterwarnings("ignore", ".*set_metric_names is experimental", ExperimentalWarning)

#: User attributes of a study: the identity of the storage that it shows, and its columns, factors and checkpoint.
STORAGE, SHOWN = "advsweep.storage", "advsweep.shown"

_TRIAL = pa.schema([TRIAL.field(name) for name in ("trial", "status", "reason", "created", "updated")])


class Numbers(Protocol):
    """The numbers of tables; :class:`analysis.cells.CellReader` implements it."""

    def missing(self, trial: str) -> str | None:
        """Return why a trial is not finished; None if it is."""

    def value(self, trial: str, checkpoint: str, arm: ManifestArm, column: ManifestColumn) -> float | None:
        """Return the number of a trial of ``arm`` in ``column``; None if the record does not hold it."""


#: Reads the numbers of the trials with these keys.
NumbersOf = Callable[[Collection[str]], Numbers]


class OptunaView:
    """Updates Optuna's studies from the record.

    A study has the name of the one that was run, with its variant: ``cifs/table-1 (demo)``. Its parameters are the factors, its
    values accuracies in percent at the checkpoint that the paper shows (the last one, if it shows both). A failed trial has its
    reason; a trial that is unfinished or lacks an evaluation is not added yet.

    ``numbers``: reads the values from the record. ``notes``: lines for the user, from opening the storage. ``own``: whether
    Optuna's storage is the journal beside the record: all views in it are this record's, also those that name another identity,
    which it has lost.

    Attributes:
        left: how many trials of the study under way are still to be added.
        written: how many have been added.
    """

    name = "Optuna"

    def __init__(
        self, storage: BaseStorage, store: Store, numbers: NumbersOf, notes: Sequence[str] = (), own: bool = False
    ) -> None:
        self._own = own
        self.left = self.written = 0
        self.notes = notes
        self._storage = storage
        self._store = store
        self._numbers = numbers

    @classmethod
    def open(cls, url: str, store: Store, numbers: NumbersOf) -> Self:
        """Make the view in the storage of Optuna at ``url``; a damaged journal in ``store`` is made anew.

        Raises:
            BadInput: Optuna does not support this kind of URL.
            Unavailable: the database or file cannot be reached or written.
        """
        own = url == default_url(store)
        storage, notes = open_own(store) if own else (open_storage(url), ())
        return cls(storage, store, numbers, notes, own)

    def sync(self, live: Collection[str] | None, only: Collection[str] | None = None) -> int:
        """Update Optuna's studies.

        Args:
            live: has no effect: running trials are not added.
            only: keys of the trials to add; None for all, after which no trial is left that differs from the record.

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
        planned = Shown.of(manifest)
        study = self._study(planned)
        trials = study.get_trials(deepcopy=False)
        shown = {_row(trial): trial for trial in trials}
        checked = {row: r for row, r in planned.repetitions.items() if only is None or r.trial in only}
        current = self._current(planned, checked, shown)
        wrong = [
            row
            for row, trial in shown.items()
            if row not in planned.repetitions or (row in checked and _synced(trial) != _synced(current.get(row)))
        ]
        # Made anew at the start and the end of a sweep alone: every time, a journal grows by all trials.
        if only is None and (wrong or len(shown) < len(trials)):
            self._delete(study)
            return self._update(manifest, None)
        new = [trial for row, trial in current.items() if row not in shown]
        self.left = len(new)
        for trial in new:
            study.add_trial(trial)
            self.left -= 1
            self.written += 1
        return len(new)

    def _current(
        self, planned: Shown, repetitions: Mapping[str, Repetition], shown: Mapping[str, FrozenTrial]
    ) -> dict[str, FrozenTrial]:
        """Return the trials that the record holds of these repetitions; those that are shown unchanged are not read again."""
        keys = {r.trial for r in repetitions.values()}
        table = read_rows(self._store, self._store.trials(keys), {"trial": _TRIAL})["trial"]
        rows = {row["trial"]: row for row in table.to_pylist()}
        there = {name: r for name, r in repetitions.items() if r.trial in rows}
        current = {
            name: shown[name] for name, r in there.items() if name in shown and _synced(shown[name]) == r.synced(rows[r.trial])
        }
        ended = {
            name: r
            for name, r in there.items()
            if name not in current and Status(rows[r.trial]["status"]) in {Status.FINISHED, Status.FAILED}
        }
        if not ended:
            return current
        numbers = self._numbers({r.trial for r in ended.values()})
        for name, r in ended.items():
            row, values = rows[r.trial], _values(numbers, planned, r)
            # A trial that failed under another study's attack has its values nevertheless, as in the tables.
            if values or row["status"] == Status.FAILED:
                current[name] = planned.trial(r, row, values)
        return current

    def _study(self, planned: Shown) -> Study:
        """Open the study that shows a manifest; create it if there is none, or if its columns, factors or checkpoint differ.

        Raises:
            Unavailable: the study of this name shows another storage, or is not a view.
        """
        name, shown = planned.manifest.full_name, planned.attribute()
        directions = [StudyDirection.MAXIMIZE] * len(planned.columns)
        try:
            study = optuna.load_study(study_name=name, storage=self._storage)
        except KeyError:
            study = optuna.create_study(study_name=name, storage=self._storage, directions=directions)
        here, attributes = self._store.identity(), study.user_attrs
        # An empty study may come from a process that died while it created the study.
        untouched = not attributes and study.directions == directions and not study.get_trials(deepcopy=False)
        ours = attributes.get(STORAGE) == here or (self._own and STORAGE in attributes)
        if not ours and not untouched:
            whose = "shows another --storage" if STORAGE in attributes else "was not made by `advsweep run`"
            raise Unavailable(
                f"Optuna's study {name!r} {whose} and is left as it is; delete it, or give another storage with --optuna"
            )
        if attributes.get(STORAGE) == here and attributes.get(SHOWN) == shown:
            return study
        if not untouched:
            self._delete(study)
            study = optuna.create_study(study_name=name, storage=self._storage, directions=directions)
        study.set_user_attr(STORAGE, here)
        study.set_metric_names(shown["columns"])
        study.set_user_attr(SHOWN, shown)
        return study

    def _delete(self, study: Study) -> None:
        optuna.delete_study(study_name=study.study_name, storage=self._storage)


def _row(trial: FrozenTrial) -> str:
    return str(_synced(trial)).partition(" ")[0]


def _synced(trial: FrozenTrial | None) -> str | None:
    return trial.user_attrs.get(SYNCED) if trial else None


def _values(numbers: Numbers, planned: Shown, repetition: Repetition) -> list[float] | None:
    """Return a repetition's value in each column, in percent; None if any is missing."""
    if numbers.missing(repetition.trial):
        return None
    found = [numbers.value(repetition.trial, planned.checkpoint, repetition.arm, column) for column in planned.columns]
    values = [value for value in found if value is not None and math.isfinite(value)]
    return values if len(values) == len(found) else None
