"""Seconds a trial of a sweep of tiny trials, with and without MLflow and Optuna, and the driver's memory.

    python -m benchmarks.sweep                  # 1,000 trials of ten epochs
    python -m benchmarks.sweep --trials 100

A trial trains a network of 4 channels on 16 digits, ten epochs, and evaluates natural accuracy at two checkpoints: its time is
that of the machinery around the training. Each sweep is a command of its own with a new storage, two trials at once. After
it, every trial must be finished in the record, and once in MLflow with all of its epochs. The bare loop makes the same
trainings one after the other in one process, without Ray and without a record.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlflow import MlflowClient

from orchestrator.api.plans import plan
from orchestrator.api.records import status

STUDY = "cifs/table-5"
EPOCHS = 10
SETTINGS = {
    "data.examples": 16,
    "model.width": 4,
    "training.epochs": EPOCHS,
    "training.batch_size": 16,
    "attack.iterations": 1,
    "selection.attack.iterations": 1,
}


def main() -> None:
    """Print a line for each way of running."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--trials", type=int, default=1000, help="how many trials")
    chosen = options.parse_args()
    arms = len(plan(STUDY, profile="demo", seeds=1, storage="nowhere").trials)
    seeds = math.ceil(chosen.trials / arms)
    with tempfile.TemporaryDirectory(prefix="benchmark-sweep-") as place:
        for name, more in (("record alone", ("--no-tracking",)), ("with MLflow and Optuna", ())):
            storage = Path(place, name.replace(" ", "-"))
            seconds, memory = sweep(storage, seeds, *more)
            trials = check(storage, seeds * arms, tracked=not more)
            print(f"{name:24} {seconds / trials:.3f} s a trial, driver {memory:.0f} MiB, {trials} trials", flush=True)
    seconds = bare(min(seeds, 5))
    print(f"{'bare loop, one process':24} {seconds / (min(seeds, 5) * arms):.3f} s a trial")


def sweep(storage: Path, seeds: int, *more: str) -> tuple[float, float]:
    """Run a sweep; return its seconds, and the driver's memory at its peak in mebibytes.

    Raises:
        RuntimeError: it failed.
    """
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    command = [str(Path(sys.executable).with_name("advsweep")), "run", STUDY, "--profile", "demo", "--seeds", str(seeds)]
    command += [*settings, "--columns", "Natural*", "--cpus-per-trial", "1", "--storage", str(storage), *more]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}")
    return time.monotonic() - began, used.ru_maxrss / 1024


def check(storage: Path, trials: int, tracked: bool) -> int:
    """Check that no trial is lost, in the record and in its views; return their number.

    Raises:
        RuntimeError: one is.
    """
    found = {"record": status(str(storage)).trials["finished"]}
    if tracked:
        client = MlflowClient(tracking_uri=f"sqlite:///{storage}/mlflow.db")
        every = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(every, "tags.`advsweep.trial` != ''", max_results=50_000)
        found["MLflow"] = len({run.data.tags["advsweep.trial"] for run in runs if run.info.status == "FINISHED"})
        epochs = [len(client.get_metric_history(run.info.run_id, "train_loss")) for run in runs[::100]]
        if set(epochs) != {EPOCHS}:
            raise RuntimeError(f"MLflow shows {sorted(set(epochs))} epochs of a trial")
    if {*found.values()} != {trials}:
        raise RuntimeError(f"of {trials} trials there are {found}")
    return trials


def bare(seeds: int) -> float:
    """Train the same trials and evaluate each twice, in this process; return the seconds."""
    from trainables.config import Natural, Runtime
    from trainables.trial import Trial

    made = plan(STUDY, profile="demo", seeds=seeds, settings=SETTINGS, storage="nowhere", columns=["Natural*"])
    began = time.monotonic()
    for planned in made.trials:
        trial = Trial(planned.config, Runtime(device="cpu", threads=1))
        while not trial.finished:
            trial.step()
        for _ in ("last", "best"):
            trial.evaluate(Natural(), trial.weights())
    return time.monotonic() - began


if __name__ == "__main__":
    main()
