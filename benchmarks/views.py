"""Runs a second of the first update of MLflow and Optuna, relative to a bare loop of MLflow's calls with the same content.

    python -m benchmarks.views                     # 1,000 trials of 120 epochs
    python -m benchmarks.views --trials 10000 --epochs 2      # what grows with the number of trials

The record is synthetic: a study of one factor with a numeric level and three seeds for each row. The bare loop creates each
run, logs as many parameters, metrics and tags with one ``log_batch``, and ends it; it reads no record. Both write to a SQLite
database of their own on the same disk, in turns of 100 trials, so that other load on the machine affects both alike.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Param, RunTag

from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn, Read
from analysis.record.schema import Status
from orchestrator.api.shown import numbers_of
from orchestrator.record.compaction import compact
from orchestrator.record.store import Store
from orchestrator.tracking.mlflow_database import connect
from orchestrator.tracking.mlflow_metrics import epoch_metrics, evaluation_metrics
from orchestrator.tracking.mlflow_view import MlflowView
from orchestrator.tracking.optuna_view import OptunaView

CREATED = datetime(2026, 11, 20, tzinfo=UTC)
ATTACKS = ("natural", "fgsm", "pgd-20", "pgd-100")
SEEDS = 3

#: Trials of a turn.
TURN = 100


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
    values: dict[str, Any] = {
        "study": "synthetic/beta",
        "aliases": (),
        "reference": "",
        "title": "Synthetic",
        "profile": "paper",
    }
    values |= {"variant": "paper", "overrides": {}, "selection": "validation", "checkpoint": "last", "rows_by_beta": False}
    values |= {"factors": ("beta",), "columns": tuple(ManifestColumn(name, False) for name in ATTACKS), "arms": arms}
    store.write_manifest(Manifest(**values, printed=(), created=CREATED.isoformat()))
    compact(store)


def _trial(key: str, config: str, seed: int, epochs: int) -> dict[str, Any]:
    history = [
        {
            "epoch": epoch,
            "lr": 0.1,
            "train_loss": 1 / epoch,
            "train_accuracy": 0.5,
            "natural_accuracy": 0.6,
            "discriminator_accuracy": None,
        }
        | {"robust_accuracy": 0.4, "images_per_second": 900.0, "seconds": 50.0, "finished": CREATED + timedelta(minutes=epoch)}
        for epoch in range(1, epochs + 1)
    ]
    row = {"trial": key, "status": Status.FINISHED, "reason": "", "epochs": epochs, "best_epoch": epochs, "seed": seed}
    row |= {"config": config, "device": "cuda", "versions": '{"advsweep": "0.1.0"}', "seconds": 50.0 * epochs}
    return row | {"created": CREATED, "updated": CREATED + timedelta(minutes=epochs), "history": history}


def _evaluations(key: str, number: int, epochs: int) -> list[dict[str, Any]]:
    right = np.arange(100) >= number % 100
    row = {
        "trial": key,
        "epoch": epochs,
        "beta_atk": "",
        "head": "final",
        "accuracy": float(np.mean(right)),
        "ranks": ~right * 3,
    }
    row |= {"complete": True, "class_accuracy": [0.5] * 10, "seconds": 1.0, "finished": CREATED + timedelta(minutes=epochs + 1)}
    return [
        {**row, "evaluation": f"{key}-{checkpoint}-{attack}", "checkpoint": checkpoint, "attack": attack, "attack_name": attack}
        | {"attack_spec": json.dumps({"name": attack, "eps": 8 / 255})}
        for checkpoint in ("best", "last")
        for attack in ATTACKS
    ]


def bare(client: MlflowClient, experiment: str, number: int, epochs: int) -> None:
    """Log to MLflow what a trial's run shows, in the fewest calls."""
    row = _trial(key_of(number), "{}", 0, epochs)
    metrics = [*epoch_metrics(row["history"]), *evaluation_metrics(_evaluations(key_of(number), number, epochs))]
    tags = [RunTag(f"tag_{i}", "value") for i in range(6)]
    run = client.create_run(experiment, tags={"trial": key_of(number)}).info.run_id
    params = [Param(f"field_{i}", str(i)) for i in range(41)]
    for begin in range(0, len(metrics), 800):
        client.log_batch(run, metrics[begin : begin + 800], params if not begin else [], tags if not begin else [])
    client.set_terminated(run)


def timed(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


def measure_mlflow(store: Store, trials: int, epochs: int) -> None:
    """Print runs a second of the bare loop and of the first update, and the seconds of an update with nothing to do."""
    view = MlflowView.open(store)
    client = connect(f"sqlite:///{store.root}/bare.db")
    experiment = client.create_experiment("bare", f"{store.root}/bare")
    seconds = {"bare": 0.0, "view": 0.0}
    for begin in range(0, trials, TURN):
        turn = range(begin, min(begin + TURN, trials))
        seconds["view"] += timed(partial(view.sync, live=(), only={key_of(number) for number in turn}))
        seconds["bare"] += timed(partial(_each, turn, partial(bare, client, experiment, epochs=epochs)))
    nothing = timed(lambda: MlflowView.open(store).sync(live=()))
    print(f"MLflow, runs/s: bare loop {trials / seconds['bare']:.1f}, first update {trials / seconds['view']:.1f}", end="")
    print(f" ({seconds['bare'] / seconds['view']:.2f}x); update with nothing to do: {nothing:.1f} s")


def _each(numbers: Iterable[int], call: Callable[..., object]) -> None:
    for number in numbers:
        call(number=number)


def measure_optuna(store: Store, trials: int) -> None:
    """Print the seconds and the bytes of Optuna's journal."""
    url = f"{store.root}/optuna.journal"
    first, nothing = (timed(lambda: OptunaView.open(url, store, numbers_of(store.uri)).sync(live=())) for _ in range(2))
    size = Path(url).stat().st_size
    print(f"Optuna: first update {first:.1f} s, nothing to do {nothing:.1f} s; journal {size / 1e6:.1f} MB", end="")
    print(f" ({size / trials:.0f} bytes a trial)")


def main() -> None:
    """Make the record and measure both views."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=120)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        make_record(store, arguments.trials, arguments.epochs)
        print(f"{arguments.trials} trials of {arguments.epochs} epochs")
        measure_optuna(store, arguments.trials)
        measure_mlflow(store, arguments.trials, arguments.epochs)


if __name__ == "__main__":
    main()
