"""A job, which is the work of one actor on one trial, and the rows of a trial and its evaluations in the record."""

import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.record.schema import Ending, Status
from orchestrator.execution.provenance.origin import NOWHERE, Origin
from orchestrator.planning.plan import Evaluation, Measurement, PlannedTrial
from orchestrator.plugins.shipping import packed
from orchestrator.record.columns import attack_columns
from orchestrator.record.report import End
from orchestrator.record.store import RecordRow, Store
from trainables.config import Runtime, TrialConfig, is_prefix, training_versions
from trainables.config.terms.registry import used_plugins
from trainables.measures import class_accuracy
from trainables.trial import Evaluated

#: The columns of a trial's row that say what trained it where, and what that took.
PROVENANCE = (
    *("wall_seconds", "peak_memory", "utilisation"),
    *("commit", "diff", "packages", "cuda", "driver", "data", "host", "user"),
)


@dataclass(frozen=True)
class Job:
    """The work on one trial: train it to the end, then run these evaluations and measurements.

    ``prefixes``: configurations of trials whose training is the beginning of this one, by key; they are recorded on the way.
    ``given_up``: keys of its evaluations and measurements that failed in every try, and are not tried again. ``origin``: of the
    command. ``train``: whether it may train; otherwise what has no weights to attack is left out.
    """

    storage: str
    key: str
    config: TrialConfig
    evaluations: tuple[Evaluation, ...]
    measurements: tuple[Measurement, ...]
    runtime: Runtime
    prefixes: Mapping[str, TrialConfig] = field(default_factory=dict)
    given_up: frozenset[str] = frozenset()
    origin: Origin = NOWHERE
    train: bool = True

    @classmethod
    def of(
        cls,
        planned: PlannedTrial,
        store: Store,
        runtime: Runtime,
        prefixes: Iterable[PlannedTrial] = (),
        origin: Origin = NOWHERE,
        train: bool = True,
    ) -> Self:
        """Make the job of what a planned trial still lacks; ``prefixes``: trials that are recorded on the way."""
        through = {trial.key: trial.config for trial in prefixes}
        todo = planned.missing, planned.unmeasured
        return cls(store.uri, planned.key, planned.config, *todo, runtime, through, origin=origin, train=train)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the job together with its plugins, which its actor has not loaded yet."""
        specs = (self.config, *(e.attack for e in self.evaluations), *(m.measure for m in self.measurements))
        return packed(used_plugins(specs), Job, *(getattr(self, its.name) for its in fields(self)))


def write_trial(store: Store, job: Job, progress: Mapping[str, Any], status: Status, end: End | None = None) -> None:
    """Write a trial's row.

    ``progress``: when it was created, its epochs, best_epoch, device, seconds and history, and the columns of
    :data:`PROVENANCE` that are known. ``end``: why it failed or was stopped early.
    """
    row = {
        "trial": job.key,
        "status": status,
        "reason": end.reason if end else "",
        "ending": end.ending if end else None,
        "seed": job.config.seed,
        "config": job.config.model_dump_json(),
        "versions": json.dumps(versions(job.config)),
        "updated": datetime.now(UTC),
        **{name: progress[name] for name in ("created", "epochs", "best_epoch", "device", "seconds", "history")},
        **{name: progress.get(name) for name in PROVENANCE},
    }
    store.write_trial(row)


def evaluation_rows(
    evaluation: Evaluation,
    found: Evaluated,
    asked: Iterable[Evaluation],
    labels: NDArray[np.int64],
    classes: int,
    run: RecordRow,
) -> Iterator[RecordRow]:
    """Yield the record's rows of an evaluation, one for each head.

    Args:
        evaluation: which.
        found: its result.
        asked: the evaluations of the same checkpoint that the run was asked for; accuracy is given at the lengths of those that
            are a beginning of this one.
        labels: of the attacked examples, of so many ``classes``.
        run: the columns that all evaluations of one run share.
    """
    attack = evaluation.attack
    lengths = [e.attack.gradient_steps for e in asked if e.attack == attack or is_prefix(e.attack, attack)]
    drawn, steps = found.drawn, attack.gradient_steps or 0
    final = {
        "broken": found.broken,
        "distance": found.distance,
        "last_accuracy": found.last_accuracy(steps),
        "last_ranks": found.last[steps][0] if found.last and steps in found.last else None,
        "by_steps": found.by_steps(filter(None, lengths)),
        **({"mean_accuracy": drawn.accuracy, "averaged_accuracy": drawn.averaged, "draws": drawn.draws} if drawn else {}),
    }
    for head, rank in found.ranks.items():
        yield {
            "evaluation": evaluation.key,
            "checkpoint": evaluation.checkpoint,
            **attack_columns(attack),
            "head": head,
            "accuracy": float((rank == 0).mean()),
            "ranks": rank,
            "class_accuracy": class_accuracy(rank, labels, classes),
            **(final if head == "final" else {}),
            **run,
        }


def write_failure(store: Store, job: Job, end: End) -> None:
    """Record from the driver that a trial failed for good."""
    _write_end(store, job, Status.FAILED, end)


def write_stop(store: Store, job: Job, reason: str) -> None:
    """Record from the driver that a trial was stopped early."""
    _write_end(store, job, Status.EARLY_STOPPED, End(Ending.EARLY_STOPPED, reason))


def _write_end(store: Store, job: Job, status: Status, end: End) -> None:
    """Write how a trial ended; its progress stays what its actor wrote last."""
    nothing = {"created": datetime.now(UTC), "epochs": 0, "best_epoch": 0, "device": "", "seconds": 0.0, "history": []}
    write_trial(store, job, store.read_trial(job.key) or nothing, status, end)


def versions(config: TrialConfig) -> dict[str, Any]:
    """Return the versions behind a trial's numbers: advsweep's, torch's, Python's and of all that trains it (``numerics``)."""
    return {
        "advsweep": version("advsweep"),
        "numerics": training_versions(config),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
