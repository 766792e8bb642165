"""The driver: runs jobs with Ray Tune."""

import logging
import shutil
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from analysis.record.schema import Ending
from orchestrator.errors import DiskFull
from orchestrator.execution.cluster import Resources, living_nodes
from orchestrator.execution.job import Job, write_failure, write_stop
from orchestrator.execution.retries import Retries
from orchestrator.execution.signals import interrupt_restored
from orchestrator.execution.worker import Worker
from orchestrator.record.files import is_full
from orchestrator.record.report import End, Report
from orchestrator.record.store import Store

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


class JobSource(Protocol):
    """Gives jobs to the driver, and may stop them early. The driver's loop calls it."""

    def next(self) -> Job | None:
        """Return the next job to start; None if there are no more."""

    def advanced(self, job: Job, report: Report) -> str | None:
        """Take a report of a job that is not done; return why the job is to be stopped early, or None."""

    def ended(self, job: Job) -> None:
        """Note that a job is done, failed for good or was stopped early; the record says which."""


class Queue:
    """The jobs of a plan, in order; none is stopped early."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = deque(jobs)

    def next(self) -> Job | None:
        return self._jobs.popleft() if self._jobs else None

    def advanced(self, job: Job, report: Report) -> str | None:
        return None

    def ended(self, job: Job) -> None:
        """Do nothing: the plan is fixed."""


def run(source: JobSource, resources: Resources, store: Store, listener: Listener) -> None:
    """Run every job of a source; a job that fails is recorded, and the others go on.

    Raises:
        DiskFull: a disk is full; no job is recorded as failed for that.
    """
    folder = tempfile.mkdtemp(prefix="advsweep-tune-")
    retries = Retries(living_nodes)
    early = _EarlyStopping(source, store, retries)
    try:
        # Tune stops at the first Ctrl-C, but its handler stays afterwards: a second Ctrl-C would do nothing.
        with interrupt_restored():
            tune.Tuner(
                tune.with_resources(Worker, {"cpu": resources.cpus, "gpu": resources.gpus}),
                tune_config=tune.TuneConfig(
                    search_alg=JobSearcher(source, retries),
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
                    callbacks=[_Callback(source, store, listener, early.reasons, retries)],
                    verbose=0,
                ),
            ).fit()
    except tune.TuneError:
        if retries.full:
            raise retries.full from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class JobSearcher(Searcher):
    """Gives Tune the jobs of a source and those to retry, and finishes when all have ended.

    A retry is a new trial for Tune: it goes to another actor than the one that failed.
    """

    def __init__(self, source: JobSource, retries: Retries) -> None:
        # Tune requires a metric of every searcher; it is not used.
        super().__init__(metric="training_iteration", mode="max")
        self._source, self._retries = source, retries
        self._last = False

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune pickles it for a restore that never happens, and a source may hold a database."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next job; None while there is none but one may follow, FINISHED at the end."""
        job = self._retries.due()
        if job is None and not self._last:
            job = self._source.next()
            self._last = job is None
            if job is not None:
                self._retries.begin(job)
        if job is not None:
            return {"key": job.key, "job": job}
        return Searcher.FINISHED if self._retries.over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the callback informs the source."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the next run resumes from the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: nothing is saved."""


class _EarlyStopping(FIFOScheduler):
    """Stops jobs early if their source says so; ``reasons``: why, by the trials' keys."""

    def __init__(self, source: JobSource, store: Store, retries: Retries) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._source, self._store, self._retries = source, store, retries
        self.reasons: dict[str, str] = {}

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        job: Job = trial.config["job"]
        why = self._source.advanced(job, Report.of(result))
        if why is None:
            return str(FIFOScheduler.CONTINUE)
        self.reasons[job.key] = why
        with self._retries.noting_full():
            write_stop(self._store, job, why)
        return str(FIFOScheduler.STOP)

    def __getstate__(self) -> dict[str, Any]:
        """Return no state; see the searcher."""
        return {}


class _Callback(tune.Callback):
    """Passes Tune's events to the source and the listener, retries failed jobs, and records those that failed for good."""

    def __init__(self, source: JobSource, store: Store, listener: Listener, early: Mapping[str, str], retries: Retries) -> None:
        self._source = source
        self._early = early  # why trials ended early, by their keys
        self._store = store
        self._listener = listener
        self._retries = retries

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
        with self._retries.noting_full():
            if is_full(_cause(error)):
                raise DiskFull(_last_line(_cause(error)))
            if self._retries.again(job, _died(error)):
                return
            end = explain(error, self._retries.failures(job))
            write_failure(self._store, job, end)
        self._listener.failed(job.key, end)
        self._end(job)

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        self._end(trial.config["job"])

    def _end(self, job: Job) -> None:
        self._retries.end(job)
        self._source.ended(job)


def _error(trial: TuneTrial) -> Exception:
    """Return the exception that a trial raised last; Tune writes it to a file before its callbacks."""
    file = trial.pickled_error_file
    return ray.cloudpickle.loads(Path(file).read_bytes()) if file else RuntimeError("Ray Tune gave no reason")


def _cause(error: Exception) -> BaseException:
    """Return the exception that Ray has wrapped, or the exception itself."""
    return getattr(error, "cause", None) or error


def _died(error: Exception) -> bool:
    """Check whether a trial's process or node died, in contrast to an exception of the trial."""
    deaths = {"ActorDiedError", "RayActorError", "ActorUnavailableError", "WorkerCrashedError", "NodeDiedError"}
    return type(_cause(error)).__name__ in deaths


def explain(error: Exception, failures: int) -> End:
    """Classify why a trial failed: out of memory, a dead process, or the exception, with the last line of its message.

    ``failures``: how many of its tries have failed.
    """
    cause = _cause(error)
    name = type(cause).__name__
    last = _last_line(cause)
    if _out_of_memory(cause):
        ending, kind = Ending.OUT_OF_MEMORY, "out of memory"
    elif _died(error):
        ending, kind = Ending.PROCESS_DIED, f"its process or node died {failures} times"
    else:
        ending, kind = Ending.ERROR, name
    return End(ending, f"{kind}: {last[:200]}" if last else kind)


def _last_line(cause: BaseException) -> str:
    lines = [line for line in str(cause).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _out_of_memory(cause: BaseException) -> bool:
    """Check whether memory ran out, also by the message: torch may raise a plain RuntimeError, for a GPU as for a CPU."""
    words = any(words in str(cause) for words in ("out of memory", "can't allocate memory"))
    return words or "OutOfMemory" in type(cause).__name__ or isinstance(cause, MemoryError)
