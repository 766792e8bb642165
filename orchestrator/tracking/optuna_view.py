"""Optuna: a view of the record, in which every study that was run is a study whose trials are the cells of its table.

Optuna's dashboard and importance evaluators work on it. It is rebuilt from the record at any time: a cell that is told is told
once, and because Optuna changes no finished trial, a study that says anything else than the record is made anew.
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

from analysis.manifest import Manifest, ManifestArm, ManifestColumn
from analysis.schema import Status
from orchestrator.errors import Unavailable
from orchestrator.record.store import Store

# Metric names are what this is for, and a line on the terminal would tear the live view.
warnings.filterwarnings("ignore", ".*set_metric_names is experimental", ExperimentalWarning)

#: Attributes of a study: the storage that it shows, and what it shows of it.
STORAGE, SHOWN = "advsweep.storage", "advsweep.shown"

#: Attributes of a trial: its key in the record, its seed, its row, why it failed, and a digest of what it was told from.
TRIAL, SEED, ARM, REASON, SYNCED = "trial", "seed", "arm", "reason", "advsweep.synced"


class Numbers(Protocol):
    """The numbers that tables show; see :class:`analysis.cells.CellReader`."""

    def missing(self, trial: str) -> str | None:
        """Why the trial is not trained to its end; None if it is."""

    def value(self, trial: str, checkpoint: str, arm: ManifestArm, column: ManifestColumn) -> float | None:
        """The number that a trial of ``arm`` has in ``column``; None as long as it is not in the record."""


#: The numbers of these trials.
NumbersOf = Callable[[Collection[str]], Numbers]


def objectives(manifest: Manifest) -> tuple[ManifestColumn, ...]:
    """What an Optuna study of it maximises: the study's own columns of accuracies that every row has; none without rows."""
    return tuple(
        column
        for column in manifest.columns
        if column.kind == "accuracy" and column.head == "final" and not column.added
        if manifest.arms and all(arm.reads.get(column.label) for arm in manifest.arms)
    )


@dataclass(frozen=True)
class _Cell:
    """An arm and a seed of a study."""

    arm: ManifestArm
    seed: str
    trial: str

    def synced(self, row: Mapping[str, Any], columns: Sequence[ManifestColumn], reason: str = "") -> str:
        """A digest of what it is told from: of its values, or of the ``reason`` for which it has none.

        Values go by what they are read from, which never changes but for a trial that was trained anew.
        """
        reads = {} if reason else {c.label: [asdict(read) for read in self.arm.reads[c.label]] for c in columns}
        state = [self.trial, row["created"].isoformat(), reads, reason]
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]


#: Which cell a trial of Optuna's is: the row's labels, and the seed.
_Place = tuple[tuple[str, ...], str]


class OptunaView:
    """The studies that Optuna has, and the record told to them.

    A study is named after the sweep's, with its variant: ``cifs/table-1 (demo)``. Its parameters are the factors, its values
    accuracies in percent at the checkpoint that the paper shows (the last one, where it shows both). A trial that failed has
    its reason; one that is not finished, or lacks an evaluation, is not there yet.

    ``numbers``: where the values come from, for which this looks at no table itself.
    """

    name = "Optuna"

    def __init__(self, storage: BaseStorage, store: Store, numbers: NumbersOf) -> None:
        self._storage = storage
        self._store = store
        self._numbers = numbers

    def sync(self, live: Collection[str] | None, only: Collection[str] | None = None) -> int:
        """Bring Optuna up to the record.

        ``live``: makes no difference, for what is not finished is not told. ``only``: trials to look at; None for all.

        Returns:
            the number of trials that were told.

        Raises:
            Unavailable: a study of that name shows something else; it is left as it is, and the others are up to the record.
        """
        told, refused = 0, []
        with self._store.exclusively("sync", timeout=120, part="optuna"):
            for manifest in self._store.manifests():
                if objectives(manifest) and (only is None or not manifest.trials.isdisjoint(only)):
                    try:
                        told += self._tell(manifest, only)
                    except Unavailable as error:
                        refused.append(error)
        if refused:
            raise refused[0]
        return told

    def _tell(self, manifest: Manifest, only: Collection[str] | None) -> int:
        """Tell a study whatever it has not been told."""
        study = self._study(manifest)
        there = study.get_trials(deepcopy=False)
        told = {_place(trial, manifest): trial for trial in there}
        cells = {(arm.labels, seed): _Cell(arm, seed, key) for arm in manifest.arms for seed, key in arm.trials.items()}
        looked_at = {place: cell for place, cell in cells.items() if only is None or cell.trial in only}
        current = self._current(manifest, looked_at, told)
        wrong = [
            trial
            for place, trial in told.items()
            if place not in cells or (place in looked_at and _synced(trial) != _synced(current.get(place)))
        ]
        if wrong or len(told) < len(there):
            self._delete(study)
            return self._tell(manifest, None)
        new = [trial for place, trial in current.items() if place not in told]
        study.add_trials(new)
        return len(new)

    def _current(
        self, manifest: Manifest, cells: Mapping[_Place, _Cell], told: Mapping[_Place, FrozenTrial]
    ) -> dict[_Place, FrozenTrial]:
        """What the record says of these cells: those that are told already as they are there, unless they changed."""
        columns = objectives(manifest)
        rows = {key: row for key in {cell.trial for cell in cells.values()} if (row := self._store.read_trial(key))}
        current = {
            place: told[place]
            for place, cell in cells.items()
            if place in told and cell.trial in rows and _synced(told[place]) == cell.synced(rows[cell.trial], columns)
        }
        ended = {
            place: cell
            for place, cell in cells.items()
            if place not in current and cell.trial in rows and rows[cell.trial]["status"] in {Status.FINISHED, Status.FAILED}
        }
        if not ended:
            return current
        numbers = self._numbers({cell.trial for cell in ended.values()})
        for place, cell in ended.items():
            row, values = rows[cell.trial], _values(numbers, manifest, cell)
            # One that failed in another study's attack has its values nevertheless, as in the tables.
            if values or row["status"] == Status.FAILED:
                current[place] = _trial(manifest, cell, row, values)
        return current

    def _study(self, manifest: Manifest) -> Study:
        """The study that shows this one, made if it is not there, or if it shows it otherwise.

        Raises:
            Unavailable: it is not this storage's.
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
        # One with nothing in it may be of a process that died while it made it.
        untouched = not attributes and study.directions == directions and not study.get_trials(deepcopy=False)
        if attributes.get(STORAGE) != here and not untouched:
            whose = "shows another --storage" if STORAGE in attributes else "was not made by `advsweep run`"
            raise Unavailable(
                f"Optuna's study {name!r} {whose} and is left as it is; delete it, or name another place with --optuna"
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
    return "last" if manifest.checkpoint == "both" else manifest.checkpoint


def _choices(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Every label of each factor, those of baselines among them."""
    columns = zip(*(arm.labels for arm in manifest.arms), strict=True)
    return {factor: tuple(dict.fromkeys(labels)) for factor, labels in zip(manifest.factors, columns, strict=True)}


def _place(trial: FrozenTrial, manifest: Manifest) -> _Place:
    return tuple(str(trial.params.get(factor)) for factor in manifest.factors), str(trial.user_attrs.get(SEED))


def _synced(trial: FrozenTrial | None) -> str | None:
    return trial.user_attrs.get(SYNCED) if trial else None


def _values(numbers: Numbers, manifest: Manifest, cell: _Cell) -> list[float] | None:
    """The cell's value in each column; None unless it has all of them."""
    if numbers.missing(cell.trial):
        return None
    checkpoint = _checkpoint(manifest)
    found = [numbers.value(cell.trial, checkpoint, cell.arm, column) for column in objectives(manifest)]
    values = [value for value in found if value is not None and math.isfinite(value)]
    return values if len(values) == len(found) else None


def _trial(manifest: Manifest, cell: _Cell, row: Mapping[str, Any], values: list[float] | None) -> FrozenTrial:
    """A finished trial, or where it has no values a failed one."""
    reason = "" if values else row["reason"] or "failed"
    attributes = {TRIAL: cell.trial, SEED: int(cell.seed), ARM: " ".join(cell.arm.labels) or manifest.title}
    attributes |= {REASON: reason} if reason else {}
    trial = create_trial(
        state=TrialState.COMPLETE if values else TrialState.FAIL,
        values=values,
        params=dict(zip(manifest.factors, cell.arm.labels, strict=True)),
        distributions={factor: CategoricalDistribution(choices) for factor, choices in _choices(manifest).items()},
        user_attrs={**attributes, SYNCED: cell.synced(row, objectives(manifest), reason)},
    )
    # Optuna's times are the local ones, without their zone.
    trial.datetime_start, trial.datetime_complete = (
        row[name].astimezone().replace(tzinfo=None) for name in ("created", "updated")
    )
    return trial
