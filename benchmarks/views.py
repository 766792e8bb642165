"""Runs a second of the first update of MLflow and Optuna, relative to a bare loop of MLflow's calls with the same content.

    python -m benchmarks.views                     # 1,000 trials of 120 epochs
    python -m benchmarks.views --trials 10000 --epochs 2      # what grows with the number of trials

The record is synthetic: a study of one factor with a numeric level and three seeds for each row. The bare loop creates each run,
logs the same parameters, metrics and tags with one ``log_batch``, and ends it; it reads no record. Both write to a SQLite
database of their own on the same disk, in turns of 100 trials, so that other load on the machine affects both alike.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn, Read
from analysis.record.schema import Status
from orchestrator.environment import configure_environment
from orchestrator.record.compaction import compact
from orchestrator.record.store import Store

CREATED = datetime(2026, 11, 20, tzinfo=UTC)
ATTACKS = ("natural", "fgsm", "pgd-20", "pgd-100")
SEEDS = 3


def key_of(number: int) -> str:
    """Return the key of a trial."""
    return f"{number:016x}"


def make_record(store: Store, trials: int, epochs: int) -> None:
    """Write finished trials with eight evaluations each, the manifest of their study, and segments."""
    store.create()
    config = {
        "model": {"name": "resnet-18", "width": 64},
        "training": {"epochs": epochs, **{f"field_{i}": i for i in range(37)}},
    }
    for number in range(trials):
        store.write_trial(_trial(key_of(number), json.dumps(config | {"beta": number // SEEDS}), number % SEEDS, epochs))
        store.write_evaluations(key_of(number), "x", _evaluations(key_of(number), number, epochs))
    arms = tuple(
        ManifestArm(
            (f"{row / 8:g}",),
            {str(seed): key_of(SEEDS * row + seed) for seed in range(SEEDS) if SEEDS * row + seed < trials},
            {attack: (Read(attack),) for attack in ATTACKS},
        )
        for row in range((trials + SEEDS - 1) // SEEDS)
    )
    values: dict[str, Any] = {"study": "synthetic/beta", "aliases": (), "reference": "", "title": "Synthetic", "profile": "paper"}
    values |= {"variant": "paper", "overrides": {}, "selection": "validation", "checkpoint": "last", "rows_by_beta": False}
    values |= {"factors": ("beta",), "columns": tuple(ManifestColumn(name, False) for name in ATTACKS), "arms": arms}
    store.write_manifest(Manifest(**values, printed=(), created=CREATED.isoformat()))
    compact(store)


def _trial(key: str, config: str, seed: int, epochs: int) -> dict[str, Any]:
    history = [
        {"epoch": epoch, "lr": 0.1, "train_loss": 1 / epoch, "train_accuracy": 0.5, "natural_accuracy": 0.6}
        | {"robust_accuracy": 0.4, "images_per_second": 900.0, "seconds": 50.0, "finished": CREATED + timedelta(minutes=epoch)}
        for epoch in range(1, epochs + 1)
    ]
    row = {"trial": key, "status": Status.FINISHED, "reason": "", "epochs": epochs, "best_epoch": epochs, "seed": seed}
    row |= {"config": config, "device": "cuda", "versions": '{"advsweep": "0.1.0"}', "seconds": 50.0 * epochs}
    return row | {"created": CREATED, "updated": CREATED + timedelta(minutes=epochs), "history": history}


def _evaluations(key: str, number: int, epochs: int) -> list[dict[str, Any]]:
    right = np.arange(100) >= number % 100
    row = {"trial": key, "epoch": epochs, "beta_atk": "", "head": "final", "accuracy": float(np.mean(right)), "ranks": ~right * 3}
    row |= {"complete": True, "class_accuracy": [0.5] * 10, "seconds": 1.0, "finished": CREATED + timedelta(minutes=epochs + 1)}
    return [
        {**row, "evaluation": f"{key}-{checkpoint}-{attack}", "checkpoint": checkpoint, "attack": attack, "attack_name": attack}
        | {"attack_spec": json.dumps({"name": attack, "eps": 8 / 255})}
        for checkpoint in ("best", "last")
        for attack in ATTACKS
    ]
