"""The driver: jobs through Ray Tune."""

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

from analysis.schema import Ending
from orchestrator.execution.cluster import Resources, living_nodes
from orchestrator.execution.job import Job, write_failure, write_stop
from orchestrator.execution.retries import Retries
from orchestrator.execution.signals import interrupt_restored
from orchestrator.execution.worker import Worker
from orchestrator.record.report import End, Report
from orchestrator.record.store import Store

# A failed trial is told by this package, once and in a line, not by Tune with a trace.
logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


class Listener(Protocol):
    """Who is told how the sweep goes. Called in the driver's loop: return at once."""

    def started(self, key: str) -> None:
        """A trial began on an actor (again, after a failure)."""

    def advanced(self, key: str, report: Report) -> None:
        """A trial reported."""

    def failed(self, key: str, end: End) -> None:
        """A trial failed for good."""

    def stopped(self, key: str, why: str) -> None:
        """A trial was ended early."""


class Source(Protocol):
    """Where jobs come from, and who may end them early. Called in the driver's loop."""

    def next(self) -> Job | None:
        """The next job to start; None when no other comes."""

    def advanced(self, job: Job, report: Report) -> str | None:
        """A job reported and is not done: why it is to end early, if it is."""

    def ended(self, job: Job) -> None:
        """A job is done, failed or was stopped; the record says which."""


class Queue:
    """The jobs of a plan in their order, each to its end."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = deque(jobs)

    def next(self) -> Job | None:
        return self._jobs.popleft() if self._jobs else None

    def advanced(self, job: Job, report: Report) -> str | None:
        return None

    def ended(self, job: Job) -> None:
        """Nothing is learned from a result: the plan is fixed."""


def run(source: Source, resources: Resources, store: Store, listener: Listener) -> None:
    """Run every job of a source; one that fails ends as a row of the record, never the sweep."""
    folder = tempfile.mkdtemp(prefix="advsweep-tune-")
    early = _EarlyEnd(source, store)
    retries = Retries(living_nodes)
    try:
        # Tune stops at the first Ctrl-C, but leaves its handler behind when there was none: a later one would do nothing.
        with interrupt_restored():
            tune.Tuner(
                tune.with_resources(Worker, {"cpu": resources.cpus, "gpu": resources.gpus}),
                tune_config=tune.TuneConfig(
                    search_alg=JobSearcher(source, retries),
                    scheduler=early,
                    num_samples=-1,  # as many as there are
                    max_concurrent_trials=resources.concurrent,
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.config["key"],
                    trial_dirname_creator=lambda trial: trial.config["key"],
                ),
                run_config=tune.RunConfig(
                    name="sweep",
                    storage_path=folder,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the worker writes its own
                    # Tune counts a failure twice where an actor dies as it is given to the next trial: we try again ourselves.
                    failure_config=tune.FailureConfig(max_failures=0),
                    callbacks=[_Callback(source, store, listener, early.reasons, retries)],
                    verbose=0,
                ),
            ).fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class JobSearcher(Searcher):
    """Serves the jobs of a source and those that are tried again, and says that it has finished when all have ended.

    A job that is tried again is another trial of Tune's: it goes to another actor than the one that failed.
    """

    def __init__(self, source: Source, retries: Retries) -> None:
        # Tune wants a metric of every searcher; nothing here is compared.
        super().__init__(metric="training_iteration", mode="max")
        self._source, self._retries = source, retries
        self._last = False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given for a restore that never happens, and a source may hold a database."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Give the next job; None while there is none, but one may come."""
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
        """The callback tells the source."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the next run goes on from the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class _EarlyEnd(FIFOScheduler):
    """Ends the jobs early that the source wants to end."""

    def __init__(self, source: Source, store: Store) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._source, self._store = source, store
        self.reasons: dict[str, str] = {}

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        job: Job = trial.config["job"]
        why = self._source.advanced(job, Report.of(result))
        if why is None:
            return str(FIFOScheduler.CONTINUE)
        self.reasons[job.key] = why
        write_stop(self._store, job, why)
        return str(FIFOScheduler.STOP)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as with the searcher."""
        return {}


class _Callback(tune.Callback):
    """Tune's events, told to the source and to the listener; what no retry could mend goes into the record."""

    def __init__(self, source: Source, store: Store, listener: Listener, early: Mapping[str, str], retries: Retries) -> None:
        self._source = source
        self._early = early  # why trials ended early, by their keys
        self._store = store
        self._listener = listener
        self._retries = retries

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as with the searcher: a listener may hold a terminal."""
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
    """What the trial last raised; Tune writes it to a file of the driver's before it tells."""
    file = trial.pickled_error_file
    return ray.cloudpickle.loads(Path(file).read_bytes()) if file else RuntimeError("Ray Tune gave no reason")


def _cause(error: Exception) -> BaseException:
    """What Ray wraps."""
    return getattr(error, "cause", None) or error


def _died(error: Exception) -> bool:
    """Whether it was the process or the node that ended, and not the trial in it."""
    deaths = {"ActorDiedError", "RayActorError", "ActorUnavailableError", "WorkerCrashedError", "NodeDiedError"}
    return type(_cause(error)).__name__ in deaths


def explain(error: Exception, failures: int) -> End:
    """Name a failed trial's end: out of memory, a dead process, or the exception with its last line.

    ``failures``: how often it was tried.
    """
    cause = _cause(error)
    name = type(cause).__name__
    lines = [line for line in str(cause).strip().splitlines() if line.strip()]
    last = lines[-1].strip() if lines else ""
    if _out_of_memory(cause):
        ending, kind = Ending.OUT_OF_MEMORY, "out of memory"
    elif _died(error):
        ending, kind = Ending.PROCESS_DIED, f"its process or node died {failures} times"
    else:
        ending, kind = Ending.ERROR, name
    return End(ending, f"{kind}: {last[:200]}" if last else kind)


def _out_of_memory(cause: BaseException) -> bool:
    """Whether memory ran out; where torch raises a plain RuntimeError, only its words say so, for a GPU and for a CPU."""
    words = any(words in str(cause) for words in ("out of memory", "can't allocate memory"))
    return words or "OutOfMemory" in type(cause).__name__ or isinstance(cause, MemoryError)
