"""What Optuna shows of a study: its columns as values, its factors as parameters, and its trials. Pure."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn

#: User attributes of a trial: its key in the record, its seed, which is a parameter too where it is a factor, its arm,
#: why it has no values, and a digest of what it shows.
TRIAL_KEY, SEED, ARM, REASON, SYNCED = "trial", "seed", "arm", "reason", "advsweep.synced"

#: The most labels of a factor that become the choices of a parameter.
CHOICES = 32


def objectives(manifest: Manifest) -> tuple[ManifestColumn, ...]:
    """Return the columns that Optuna maximises: final accuracies of the study itself that every row has; none without rows."""
    return tuple(
        column
        for column in manifest.columns
        if column.kind == "accuracy" and column.head == "final" and not column.added
        if manifest.arms and all(arm.reads.get(column.label) for arm in manifest.arms)
    )


@dataclass(frozen=True)
class Repetition:
    """One seed of an arm of a study.

    ``trial``: the key of its trial. ``row``: identifies the arm and the seed in the study. ``reads``: a digest of where the
    values are read from.
    """

    arm: ManifestArm
    seed: str
    trial: str
    row: str
    reads: str

    def synced(self, row: Mapping[str, Any], reason: str = "") -> str:
        """Return what Optuna shows: which row, and a digest of where its values are from, or of the ``reason`` why it has none.

        Values stay the same as long as they are read from the same evaluations of a trial that was not trained again.
        """
        return f"{self.row} {_digest(self.trial, row['created'].isoformat(), '' if reason else self.reads, reason)}"


@dataclass(frozen=True)
class Shown:
    """What Optuna shows of a study: its columns, its checkpoint, its repetitions, and the parameters that factors become.

    Everything that depends on the study alone is computed once, and not for every trial.
    """

    manifest: Manifest
    columns: tuple[ManifestColumn, ...]
    checkpoint: str
    distributions: Mapping[str, BaseDistribution]
    repetitions: Mapping[str, Repetition]

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        columns = objectives(manifest)
        repetitions = [
            Repetition(arm, seed, key, _digest(arm.labels, seed), reads)
            for arm in manifest.arms
            for reads in [_digest({c.label: [asdict(read) for read in arm.reads[c.label]] for c in columns})]
            for seed, key in arm.trials.items()
        ]
        # The last one, where a paper shows both checkpoints.
        checkpoint = "last" if manifest.checkpoint == "both" else manifest.checkpoint
        return cls(manifest, columns, checkpoint, distributions(manifest), {r.row: r for r in repetitions})

    def attribute(self) -> dict[str, Any]:
        """Return what a study must show to be this one's, as an attribute of Optuna's study."""
        factors = {
            name: list(found.choices) if isinstance(found, CategoricalDistribution) else [found.low, found.high]
            for name, found in self.distributions.items()
            if isinstance(found, CategoricalDistribution | FloatDistribution | IntDistribution)
        }
        columns = [column.label for column in self.columns]
        return {"title": self.manifest.title, "checkpoint": self.checkpoint, "columns": columns, "factors": factors}

    def trial(self, repetition: Repetition, row: Mapping[str, Any], values: list[float] | None) -> FrozenTrial:
        """Make a finished trial of Optuna's, or a failed one if there are no values."""
        reason = "" if values else row["reason"] or "failed"
        labels = repetition.arm.labels
        attributes = {TRIAL_KEY: repetition.trial, SEED: int(repetition.seed), ARM: " ".join(labels) or self.manifest.title}
        attributes |= {REASON: reason} if reason else {}
        parameters = {
            name: value
            for name, label in zip(self.manifest.factors, labels, strict=True)
            if (found := self.distributions.get(name))
            and name != SEED
            and (value := label if isinstance(found, CategoricalDistribution) else _number(label)) is not None
        }
        parameters |= {SEED: int(repetition.seed)} if SEED in self.distributions else {}
        trial = create_trial(
            state=TrialState.COMPLETE if values else TrialState.FAIL,
            values=values,
            params=parameters,
            distributions={name: self.distributions[name] for name in parameters},
            user_attrs={**attributes, SYNCED: repetition.synced(row, reason)},
        )
        # Optuna's times are local times without a time zone.
        trial.datetime_start, trial.datetime_complete = (
            row[name].astimezone().replace(tzinfo=None) for name in ("created", "updated")
        )
        return trial


def distributions(manifest: Manifest) -> dict[str, BaseDistribution]:
    """Return the parameters of Optuna that a study's factors become; a seed is an integer, and of every row its trial's own.

    Levels that are all numbers become a number, others a choice among all labels. Because Optuna stores a distribution in every
    trial, a factor of more than :data:`CHOICES` labels is a number in rows where it is one, and no parameter in the others.
    """
    found: dict[str, BaseDistribution] = {}
    for factor, column in zip(manifest.factors, zip(*(arm.labels for arm in manifest.arms), strict=True), strict=True):
        labels = tuple(dict.fromkeys(column))
        numbers = [number for label in labels if (number := _number(label)) is not None]
        if len(numbers) < len(labels) <= CHOICES:
            found[factor] = CategoricalDistribution(labels)
        elif numbers:
            found[factor] = FloatDistribution(min(numbers), max(numbers))
    if SEED in manifest.factors:
        seeds = [int(seed) for arm in manifest.arms for seed in arm.trials]
        found[SEED] = IntDistribution(min(seeds), max(seeds))
    return found


def _number(label: str) -> float | None:
    """Return the number that a label is; None if it is none."""
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
