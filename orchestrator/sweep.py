"""A sweep: a plan on a cluster, watched, recorded and tracked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rich.console import Console

from orchestrator import ray_tune, tracking
from orchestrator.cluster import Resources, cluster, find_data, resources, see_storage
from orchestrator.errors import Interrupted
from orchestrator.options import Options
from orchestrator.plan import Plan
from orchestrator.progress import Progress
from orchestrator.store import Store
from orchestrator.tracking import Tables, Tracker, View
from orchestrator.worker import Job
from trainables.config import Runtime


class Outcome(NamedTuple):
    """What a sweep could not do, and what it took.

    ``failures``: the reasons of the trials that failed, by their keys. ``not_run``: of finished trials, by their keys, the
    reasons of evaluations that could not be run, by their labels. ``hours``: what its trials took; see :class:`Progress`.
    """

    failures: dict[str, str]
    not_run: dict[str, dict[str, str]]
    hours: float = 0.0

    def and_then(self, later: "Outcome") -> "Outcome":
        """This outcome and a later one, as one."""
        return Outcome(self.failures | later.failures, self.not_run | later.not_run, self.hours + later.hours)


def sweep(plan: Plan, store: Store, options: Options, tables: Tables, console: Console) -> Outcome:
    """Run what the plan has left to do. ``tables``: how a study's table is made, for MLflow.

    Raises:
        BadInput, Unavailable: before any trial starts; a storage that was not there is not made.
        Interrupted: stopped before the end.
    """
    if not plan.to_run:
        with _recorded(plan, store, options, tables, console):
            return Outcome({}, {})
    _look_ahead(store, options)
    with cluster(options.address):
        share = resources(options.cpus, options.gpus, options.concurrent)
        runtime = replace(options.runtime, threads=max(1, int(share.cpus)))
        parts = frozenset().union(*(t.parts for t in plan.to_run))
        find_data(sorted({t.config.data.dataset for t in plan.to_run}), runtime, parts)
        with _recorded(plan, store, options, tables, console) as tracker:
            first = plan.ready()
            outcome = _run(first, store, runtime, share, tracker, console)
            # Attacks from trials that were just trained come after them.
            if first.trials != plan.trials:
                rest = replace(plan.against(store.index(t.key for t in plan.trials)), retry_failed=False)
                outcome = outcome.and_then(_run(rest, store, runtime, share, tracker, console))
    return outcome


def _run(plan: Plan, store: Store, runtime: Runtime, share: Resources, tracker: Tracker | None, console: Console) -> Outcome:
    """Run what the plan has left to do, told to whoever listens."""
    if not plan.to_run:
        return Outcome({}, {})
    jobs = [Job.of(trial, store, runtime) for trial in plan.to_run]
    with Progress(plan.to_run, console) as progress:
        ray_tune.run(jobs, share, store, _Listeners(progress, tracker))
    if progress.done + len(progress.failures) < len(jobs):
        raise Interrupted
    return Outcome(progress.failures, progress.not_run, progress.hours)


def _look_ahead(store: Store, options: Options) -> None:
    """Tell before a cluster is started, and before anything is made, what would stop the sweep after it."""
    uri = tracking.default_uri(store)
    if options.tracking and not uri.startswith("sqlite:"):
        tracking.connect(uri)
    if store.exists():
        store.create()
        with store.exclusively("run"):
            pass


@contextmanager
def _recorded(plan: Plan, store: Store, options: Options, tables: Tables, console: Console) -> Iterator[Tracker | None]:
    """The storage, made if it is not there and held by this sweep alone; its studies; and MLflow, if it is wanted."""
    store.create()
    with store.exclusively("run"), _tracked(store, options.tracking, tables, console) as tracker:
        if plan.to_run:
            see_storage(store)
        for manifest in plan.manifests:
            before = store.read_manifest(manifest.path)
            store.write_manifest(manifest.with_added(before) if before else manifest)
        yield tracker


@contextmanager
def _tracked(store: Store, wanted: bool, tables: Tables, console: Console) -> Iterator[Tracker | None]:
    """MLflow, brought up to the record now, during the sweep and at its end."""
    if not wanted:
        yield None
        return
    tracker = Tracker(View(tracking.connect(tracking.default_uri(store)), store), tables)
    tracker.start()
    try:
        yield tracker
    finally:
        if not tracker.stop():
            console.print(
                f"MLflow is behind ({tracker.error}); nothing is lost: `advsweep sync` catches it up",
                markup=False,
                highlight=False,
            )


@dataclass(frozen=True)
class _Listeners:
    """The terminal and MLflow, both told."""

    progress: Progress
    tracker: Tracker | None

    def started(self, key: str) -> None:
        self.progress.started(key)
        if self.tracker:
            self.tracker.changed(key, live=True)

    def advanced(self, key: str, result: dict[str, Any]) -> None:
        self.progress.advanced(key, result)
        if self.tracker:
            self.tracker.changed(key, live=not result["done"])

    def failed(self, key: str, reason: str) -> None:
        self.progress.failed(key, reason)
        if self.tracker:
            self.tracker.changed(key, live=False)
