"""The driver: runs jobs with Ray Tune."""

import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from analysis.record.schema import Status
from orchestrator.errors import Unavailable
from orchestrator.execution.cluster import Resources, living_nodes
from orchestrator.execution.job import Job, write_failure, write_stop
from orchestrator.execution.retries import Halt, Retries
from orchestrator.execution.sources import Claimed
from orchestrator.execution.worker import Worker
from orchestrator.record.report import End, Report, died, fault_of
from orchestrator.record.store import Store
from orchestrator.signals import InterruptNoted, interrupt_restored

# This package reports a failed trial itself, in one line; Tune would print a traceback.
logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


class Listener(Protocol):
    """Follows a sweep. The driver's loop calls it and waits: methods must return at once."""

    def started(self, key: str) -> None:
        """A trial started on an actor, for the first time or again after a failure."""

    def advanced(self, key: str, report: Report) -> None:
        """A trial reported."""

    def failed(self, key: str, end: End) -> None:
        """A trial failed for good."""

    def stopped(self, key: str, why: str) -> None:
        """A trial was stopped early; ``why``: the reason."""


def run(source: Claimed, resources: Resources, store: Store, listener: Listener, until: datetime | None = None) -> None:
    """Run every job of a source; a job that fails is recorded, and the others go on.

    ``until``: when to stop, in local time; jobs may be left then.

    Raises:
        Unavailable: a fault of the environment, such as a full disk, under which every trial would fail. None is recorded as
            failed for it.
    """
    folder = tempfile.mkdtemp(prefix="advsweep-tune-")
    halt = Halt(until)
    early = _EarlyStopping(source, store, halt)
    retries = Retries(living_nodes)
    try:
        # Tune stops at the first Ctrl-C, but its handler stays afterwards: a second Ctrl-C would do nothing.
        with interrupt_restored():
            tune.Tuner(
                tune.with_resources(Worker, {"cpu": resources.cpus, "gpu": resources.gpus}),
                tune_config=tune.TuneConfig(
                    search_alg=JobSearcher(source, retries, halt),
                    scheduler=early,
                    num_samples=-1,  # as many as the searcher suggests
                    max_concurrent_trials=resources.concurrent,
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.config["key"],
                    trial_dirname_creator=lambda trial: trial.config["key"],
                ),
                run_config=tune.RunConfig(
                    name="sweep",
                    storage_path=folder,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the worker writes its own
                    # Tune counts a failure twice if an actor dies while it is reused: Retries counts instead.
                    failure_config=tune.FailureConfig(max_failures=0),
                    callbacks=[_Callback(source, store, listener, early.reasons, retries, halt)],
                    verbose=0,
                ),
            ).fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if halt.fault:
        raise Unavailable(halt.fault)


class JobSearcher(Searcher):
    """Gives Tune the jobs of a source and those to retry, and finishes when all have ended.

    A retry is a new trial for Tune: it goes to another actor than the one that failed.
    """

    def __init__(self, source: Claimed, retries: Retries, halt: Halt) -> None:
        # Tune requires a metric of every searcher; it is not used.
        super().__init__(metric="training_iteration", mode="max")
        self._source, self._retries, self._halt = source, retries, halt
        self._interrupts = InterruptNoted(halt.interrupt)

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune pickles it for a restore that never happens, and a source may hold a database."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next job; None while there is none but one may follow, FINISHED at the end or where the sweep halts."""
        self._interrupts.watch()  # while it waits for a job, Tune looks at no signal
        if self._halt.now:
            return Searcher.FINISHED
        job = self._retries.due()
        if job is None:
            with self._halt.noting():
                job = self._source.next()
            if job is not None:
                self._retries.begin(job)
        if job is not None:
            return {"key": job.key, "job": job}
        if self._halt.fault:
            return Searcher.FINISHED
        return Searcher.FINISHED if self._source.exhausted and self._retries.over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the callback informs the source."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the next run resumes from the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: nothing is saved."""


class _EarlyStopping(FIFOScheduler):
    """Stops jobs early if their source says so, or the sweep halts; ``reasons``: why the source did, by the trials' keys."""

    def __init__(self, source: Claimed, store: Store, halt: Halt) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._source, self._store, self._halt = source, store, halt
        self.reasons: dict[str, str] = {}

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        job: Job = trial.config["job"]
        lost = False
        with self._halt.noting():
            lost = self._source.lost(job)
        why = None if lost else self._source.advanced(job, Report.of(result))
        if lost or (why is None and self._halt.now):
            self._halt.stopped.add(job.key)
            return str(FIFOScheduler.STOP)
        if why is None:
            return str(FIFOScheduler.CONTINUE)
        self.reasons[job.key] = why
        with self._halt.noting():
            write_stop(self._store, job, why)
        return str(FIFOScheduler.STOP)

    def __getstate__(self) -> dict[str, Any]:
        """Return no state; see the searcher."""
        return {}


class _Callback(tune.Callback):
    """Passes Tune's events to the source and the listener, retries failed jobs, and records those that failed for good."""

    def __init__(
        self,
        source: Claimed,
        store: Store,
        listener: Listener,
        early: Mapping[str, str],
        retries: Retries,
        halt: Halt,
    ) -> None:
        self._source = source
        self._early = early  # why trials ended early, by their keys
        self._store = store
        self._listener = listener
        self._retries, self._halt = retries, halt

    def __getstate__(self) -> dict[str, Any]:
        """Return no state; see the searcher. A listener may hold a terminal."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._listener.started(trial.config["key"])

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        key = trial.config["key"]
        if key in self._early:
            self._listener.stopped(key, self._early[key])
        else:
            self._listener.advanced(key, Report.of(result))

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        job: Job = trial.config["job"]
        error = _error(trial)
        if fault := fault_of(error):
            self._halt.fault = self._halt.fault or fault
        elif self._retries.again(job, died(error)):
            return
        else:
            with self._halt.noting():
                self._give_up(job, error)
                return
        # A fault of the environment, or of the storage while this was recorded, fails no trial.
        self._halt.stopped.add(job.key)
        self._retries.end(job)

    def _give_up(self, job: Job, error: Exception) -> None:
        """Let a job go on without what failed in every try, or record that its trial failed for good."""
        if less := self._without_failed(job):
            self._retries.afresh(less)
            return
        end = End.of(error, self._retries.failures(job))
        write_failure(self._store, job, end)
        self._listener.failed(job.key, end)
        self._end(job)

    def _without_failed(self, job: Job) -> Job | None:
        """Give up the evaluations in which a trained trial failed; None if it failed in none."""
        recorded = self._store.recorded(job.key)
        failed = recorded.failures.keys() - job.given_up if recorded and recorded.status == Status.FINISHED else frozenset()
        return replace(job, given_up=job.given_up | failed) if failed else None

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._end(trial.config["job"])

    def _end(self, job: Job) -> None:
        self._retries.end(job)
        if job.key in self._halt.stopped:
            self._halt.stopped.discard(job.key)
        else:
            with self._halt.noting():
                self._source.ended(job)


def _error(trial: TuneTrial) -> Exception:
    """Return the exception that a trial raised last; Tune writes it to a file before its callbacks."""
    file = trial.pickled_error_file
    return ray.cloudpickle.loads(Path(file).read_bytes()) if file else RuntimeError("Ray Tune gave no reason")
