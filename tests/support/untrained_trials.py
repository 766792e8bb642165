"""Records of trials written by hand, without training."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from analysis.record.schema import Status
from orchestrator.planning.plan import PlannedTrial
from orchestrator.record.report import End
from orchestrator.record.store import Store
from trainables.config import attack_key

NOW = datetime(2026, 1, 1, tzinfo=UTC)

#: Test images of an evaluation: an accuracy may have four digits.
EXAMPLES = 10_000


def write(
    store: Store,
    trial: PlannedTrial,
    status: Status = Status.FINISHED,
    end: End | None = None,
    robust: Sequence[float] | None = None,
) -> None:
    """Write a trial's row and its epochs with these accuracies, by default 0.5 for each epoch."""
    epochs = [0.5] * trial.config.training.epochs if robust is None else robust
    row: dict[str, Any] = {"trial": trial.key, "status": status, "seed": 0, "versions": "{}", "device": "cpu", "seconds": 1.0}
    row |= {"reason": end.reason if end else "", "ending": end.ending if end else None}
    row |= {"epochs": len(epochs), "best_epoch": len(epochs), "created": NOW, "updated": NOW}
    row["config"] = trial.config.model_dump_json()
    known = dict.fromkeys(("lr", "train_loss", "train_accuracy", "natural_accuracy", "seconds", "images_per_second"), 0.9)
    history = [{"epoch": i, "robust_accuracy": r, "finished": 0, **known} for i, r in enumerate(epochs, 1)]
    store.write_trial({**row, "history": history})


def answer(store: Store, trial: PlannedTrial, accuracies: Mapping[str, float]) -> None:
    """Write evaluations of everything that was asked, of these accuracies by the columns' labels, or a little more.

    Other heads say something else.
    """
    rows = []
    for i, e in enumerate(trial.evaluations):
        for head, accuracy in (("final", accuracies[e.label] + 0.01 * i), ("1", 0.0)):
            ranks = (np.arange(EXAMPLES) >= round(accuracy * EXAMPLES)).astype(np.uint16)
            row = {"evaluation": e.key, "trial": trial.key, "checkpoint": e.checkpoint, "epoch": 1, "head": head}
            row |= {"attack": attack_key(e.attack), "attack_name": e.attack.name, "attack_spec": e.attack.model_dump_json()}
            row |= {"beta_atk": getattr(e.attack, "beta_atk", ""), "complete": False, "seconds": 1.0, "finished": NOW}
            rows.append({**row, "ranks": ranks, "accuracy": float((ranks == 0).mean())})
    store.write_evaluations(trial.key, "byhand", rows)
