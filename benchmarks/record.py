"""Seconds of CPU and memory of commands that read a record, by the number of its trials; and the same table through MLflow.

    python -m benchmarks.record                            # 300, 1,000, 3,000 and 10,000 trials
    python -m benchmarks.record --sizes 300,1000 --examples 10000 --plain

The record is synthetic: finished trials of ``cifs/beta`` in its paper profile, as many seeds as needed, with every evaluation,
of which each example's outcome is stored too. Each command is a process of its own, as a user starts it; its time is that of
its processor, which other load on the machine does not change much. ``growth`` is the exponent of a power law through the
sizes: 1 is linear. ``--plain`` leaves the segments out, so that every trial's own files are read. The table through MLflow
(``mlflow.search_runs`` on a database that ``advsweep sync`` has filled) is of the smallest size, and shows the same numbers.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from analysis.record.schema import Status
from orchestrator.api.plans import plan
from orchestrator.api.records import load
from orchestrator.planning.plan import Plan, PlannedTrial
from orchestrator.record.columns import attack_columns
from orchestrator.record.compaction import compact
from orchestrator.record.store import Store

STUDY = "cifs/beta"
PROFILE: Literal["paper"] = "paper"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

#: The commands, with what follows the storage.
COMMANDS = {
    "table": ("table", STUDY, "--format", "csv"),
    "status": ("status",),
    "plan": ("plan", STUDY),
    "run, nothing to do": ("run", STUDY, "--no-tracking"),
}

#: Reads runs and a history of each from MLflow, and prints the mean of a metric.
THROUGH_MLFLOW = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
runs = mlflow.search_runs(search_all_experiments=True, filter_string="tags.`advsweep.trial` != ''", max_results=50_000)
client = mlflow.MlflowClient()
names = [name for name in runs.columns if name.startswith("metrics.") and name.endswith(sys.argv[2])]
for run in runs["run_id"]:
    client.get_metric_history(run, "robust_accuracy")
print(runs[names[0]].mean())
"""


class Used(NamedTuple):
    """What a process used: seconds of its processor, mebibytes of memory at its peak, and what it printed."""

    seconds: float
    memory: float
    printed: str


class _Unflushed(Store):
    """A store that does not wait for the disk: what it writes is a benchmark's."""

    def _flush(self, path: str) -> None:
        """Do nothing."""


def planned(trials: int) -> Plan:
    """Plan as many seeds of the study as make at least so many trials."""
    arms = len(plan(STUDY, profile=PROFILE, seeds=1, storage="nowhere").trials)
    return plan(STUDY, profile=PROFILE, seeds=math.ceil(trials / arms), storage="nowhere")


def make_record(folder: Path, made: Plan, examples: int, segments: bool) -> None:
    """Write every trial of a plan as finished and evaluated, and the study's manifest."""
    store = _Unflushed(str(folder))
    store.create()
    outcomes = np.random.default_rng(0)
    for trial in made.trials:
        store.write_trial(_row(trial))
        store.write_evaluations(trial.key, "x", _evaluations(trial, outcomes, examples))
    for manifest in made.manifests:
        store.write_manifest(manifest)
    if segments:
        compact(store)


def _row(trial: PlannedTrial) -> dict[str, Any]:
    epochs = trial.config.training.epochs
    names = ("lr", "train_loss", "train_accuracy", "natural_accuracy", "robust_accuracy", "seconds", "images_per_second")
    history = [{"epoch": epoch, "finished": NOW, **dict.fromkeys(names, 1 / epoch)} for epoch in range(1, epochs + 1)]
    row = {"trial": trial.key, "status": Status.FINISHED, "reason": "", "seed": trial.config.seed, "device": "cpu"}
    row |= {
        "epochs": epochs,
        "best_epoch": epochs - 1,
        "versions": "{}",
        "seconds": float(epochs),
        "created": NOW,
        "updated": NOW,
    }
    return row | {"config": trial.config.model_dump_json(), "history": history}


def _evaluations(trial: PlannedTrial, outcomes: np.random.Generator, examples: int) -> list[dict[str, Any]]:
    rows = []
    for evaluation in trial.evaluations:
        ranks = outcomes.integers(0, 3, examples).astype(np.uint16)
        row = {
            "evaluation": evaluation.key,
            "trial": trial.key,
            "checkpoint": evaluation.checkpoint,
            "epoch": 1,
            "head": "final",
        }
        row |= {
            "complete": False,
            "seconds": 1.0,
            "finished": NOW,
            "class_accuracy": [0.5] * 10,
            **attack_columns(evaluation.attack),
        }
        rows.append({**row, "ranks": ranks, "accuracy": float((ranks == 0).mean()), "broken": ranks})
    return rows


def use(command: Sequence[object], **settings: str) -> Used:
    """Run a command to its end, and return what it used.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([*map(str, command)], stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **settings})
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        printed = out.read().decode()
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{printed[-2000:]}")
    return Used(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, printed)


def commands(folder: Path, seeds: int) -> dict[str, Used]:
    """Run every command on a storage."""
    found = {}
    for name, (command, *rest) in COMMANDS.items():
        options = ("--profile", PROFILE, "--seeds", seeds) if command in {"plan", "run"} else ()
        found[name] = use([_advsweep(), command, *rest, *options, "--storage", folder])
    return found


def _advsweep() -> Path:
    return Path(sys.executable).with_name("advsweep")


def growth(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Fit the exponent of a power law, by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def through_mlflow(folder: Path) -> tuple[Used, Used]:
    """Return what filling MLflow used, and what reading the same accuracies from it.

    Raises:
        RuntimeError: the accuracies are not those of the record.
    """
    filled = use([_advsweep(), "sync", "--storage", folder])
    read = use([sys.executable, "-c", THROUGH_MLFLOW, f"sqlite:///{folder}/mlflow.db", "last/natural"])
    recorded = load(str(folder)).evaluations.query("checkpoint == 'last' and attack_name == 'natural'")["accuracy"]
    if not math.isclose(float(read.printed.split()[-1]), recorded.mean(), rel_tol=1e-9):
        raise RuntimeError(f"MLflow's mean is {read.printed.strip()}, and the record's {recorded.mean()}")
    return filled, read


def main() -> None:
    """Print a line for every command and size."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--sizes", default="300,1000,3000,10000", help="numbers of trials")
    options.add_argument("--examples", type=int, default=1000, help="test examples of an evaluation")
    options.add_argument("--plain", action="store_true", help="without segments")
    options.add_argument("--mlflow", action="store_true", help="also the same numbers through MLflow, of the smallest size")
    chosen = options.parse_args()
    used: dict[int, dict[str, Used]] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-record-") as place:
        for size in map(int, chosen.sizes.split(",")):
            made, folder = planned(size), Path(place, str(size))
            make_record(folder, made, chosen.examples, not chosen.plain)
            seeds = len({trial.config.seed for trial in made.trials})
            used[len(made.trials)] = commands(folder, seeds)
            for name, one in used[len(made.trials)].items():
                print(f"{len(made.trials):6d} trials  {name:20} {one.seconds:7.2f} s  {one.memory:6.0f} MiB", flush=True)
            if chosen.mlflow and len(used) == 1:
                filled, read = through_mlflow(folder)
                ratio = read.seconds / used[len(made.trials)]["table"].seconds
                print(f"{len(made.trials):6d} trials  MLflow: filled in {filled.seconds:.2f} s, read in {read.seconds:.2f} s")
                print(f"        {ratio:.1f} times as long as the table, with the same numbers", flush=True)
            shutil.rmtree(folder)
    if len(used) > 1:
        for name in COMMANDS:
            exponent = growth([*used], [of[name].seconds for of in used.values()])
            print(f"growth of {name:20} {exponent:.2f}")


if __name__ == "__main__":
    main()
