"""A sweep: runs a plan or a search on a cluster, with its record, progress and views."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from rich.console import Console

from analysis.record.files import BrokenRecordError
from analysis.record.manifest import Manifest
from orchestrator.errors import BadInput, DiskFull, Interrupted
from orchestrator.execution import driver
from orchestrator.execution.cluster import Resources, check_storage, cluster, prepare_nodes, resources
from orchestrator.execution.job import Job
from orchestrator.execution.options import Options
from orchestrator.execution.progress import Outcome, Progress
from orchestrator.planning.plan import Plan, PlannedTrial
from orchestrator.record.compaction import LOOSE, compact
from orchestrator.record.report import End, Report
from orchestrator.record.store import Store
from orchestrator.search.loop import Search
from orchestrator.tracking.mlflow_database import connect, default_uri
from orchestrator.tracking.mlflow_tables import Tables
from orchestrator.tracking.mlflow_view import MlflowView
from orchestrator.tracking.optuna_storage import default_url, open_storage
from orchestrator.tracking.optuna_view import NumbersOf, OptunaView
from orchestrator.tracking.tracker import Tracker
from trainables.config import Runtime
from trainables.config.terms.registry import Entry
from trainables.models import build_model
from trainables.models.layout import UnsafeLayout, check_layout


class Shown(NamedTuple):
    """What the views show of studies: rendered ``tables`` for MLflow, and the ``numbers`` of tables for Optuna."""

    tables: Tables
    numbers: NumbersOf


def sweep(plan: Plan, store: Store, options: Options, shown: Shown, console: Console) -> Outcome:
    """Run every trial, evaluation and measurement of a plan that is not recorded yet.

    Raises:
        BadInput, Unavailable: before any trial starts, and before a new storage is created.
        Interrupted: stopped before the end.
    """
    if not plan.to_run:
        with _with_studies(plan, store, options, shown, console):
            return Outcome({}, {}, {})
    with _prepared_cluster(plan, store, options) as allocation, _with_studies(plan, store, options, shown, console) as trackers:
        first = plan.ready()
        outcome = _run(first, store, allocation, trackers, console, plan.prefixes)
        # In a second run: attacks that are transferred from trials of the first, and evaluations of prefixes.
        if first.trials != plan.trials:
            rest = replace(plan, retry_failed=False).against(store.index(t.key for t in plan.trials))
            outcome = outcome.and_then(_run(rest, store, allocation, trackers, console))
    return outcome


def search(
    begin: Callable[[], Search],
    manifest: Callable[[Search], Manifest],
    samples: Plan,
    store: Store,
    options: Options,
    shown: Shown,
    console: Console,
) -> tuple[Search, Outcome]:
    """Run the trials of a search, and return the search with what it found.

    Args:
        begin: makes the search, once this process holds the storage's lock.
        manifest: describes the search for the storage; called again for every trial.
        samples: a plan with every data set and plugin that the search may need, to prepare the nodes.

    Raises:
        BadInput, Unavailable: before any trial starts.
        Interrupted: stopped before the end.
    """
    with _prepared_cluster(samples, store, options) as allocation, _held(store, options, shown, console) as trackers:
        found = begin()
        with Progress((), console, found.trials - found.tried, partial(_lag, trackers)) as progress:
            source = _SearchJobs(found, manifest, store, allocation.runtime, progress)
            driver.run(source, allocation.share, store, _Listeners(progress, trackers), allocation.until)
        if not source.over:
            raise allocation.interrupted()
        return found, progress.outcome


def _run(
    plan: Plan,
    store: Store,
    allocation: "_Allocation",
    trackers: Sequence[Tracker],
    console: Console,
    prefixes: Mapping[str, Sequence[PlannedTrial]] = MappingProxyType({}),
) -> Outcome:
    """Run the jobs of a plan on a prepared cluster. ``prefixes``: see :class:`.Plan`."""
    if not plan.to_run:
        return Outcome({}, {}, {})
    jobs = [Job.of(trial, store, allocation.runtime, prefixes.get(trial.key, ())) for trial in plan.to_run]
    with Progress(plan.to_run, console, lag=partial(_lag, trackers)) as progress:
        driver.run(driver.Queue(jobs), allocation.share, store, _Listeners(progress, trackers), allocation.until)
    if progress.done + len(progress.failures) < len(jobs):
        raise allocation.interrupted()
    return progress.outcome


class _SearchJobs:
    """The jobs of a search, each noted in the search's manifest before it runs."""

    def __init__(
        self, found: Search, manifest: Callable[[Search], Manifest], store: Store, runtime: Runtime, progress: Progress
    ) -> None:
        self._search, self._manifest, self._store, self._runtime, self._progress = found, manifest, store, runtime, progress
        self._last = False
        self._running: set[str] = set()

    @property
    def over(self) -> bool:
        """Whether the search has no more jobs, and all that it gave have ended."""
        return self._last and not self._running

    def next(self) -> Job | None:
        """Return the job of the next sampled trial; None if there are no more."""
        planned = self._search.next()
        if planned is None:
            self._last = True
            return None
        self._store.write_manifest(self._manifest(self._search))
        self._progress.add(planned)
        self._running.add(planned.key)
        return Job.of(planned, self._store, self._runtime)

    def advanced(self, job: Job, report: Report) -> str | None:
        """Pass a report to the search; return why the job is to be stopped early, or None."""
        return self._search.advanced(job.key, report)

    def ended(self, job: Job) -> None:
        """Let the search read the job's result from the record."""
        self._running.discard(job.key)
        self._search.ended(job.key)


class _Allocation(NamedTuple):
    """What the trials of a sweep run with: the ``share`` of the cluster that each gets, their runtime, and until when."""

    share: Resources
    runtime: Runtime
    until: datetime | None

    def interrupted(self) -> Interrupted:
        """Return the error of a sweep that stopped before its end."""
        late = self.until is not None and datetime.now() >= self.until
        return Interrupted(f" at {self.until:%H:%M} (--until)" if late else "")


@contextmanager
def _prepared_cluster(plan: Plan, store: Store, options: Options) -> Iterator[_Allocation]:
    """Start or join a cluster, and give its nodes the plan's data sets and plugins."""
    _check_before_start(store, options)
    with cluster(options.address):
        share = resources(options.cpus, options.gpus, options.concurrent)
        runtime = replace(options.runtime, threads=max(1, int(share.cpus)))
        _check_layouts(plan, runtime, "cuda" if share.gpus else "cpu")
        plugins = frozenset[Entry]().union(*(t.plugins for t in plan.to_run))
        prepare_nodes(sorted({t.config.data.dataset for t in plan.to_run}), runtime, plugins)
        yield _Allocation(share, runtime, options.until)


def _check_before_start(store: Store, options: Options) -> None:
    """Raise, before a cluster is started or anything is written, the errors that would stop the sweep later."""
    uri = default_uri(store)
    if options.tracking and not uri.startswith("sqlite:"):
        connect(uri)
    if options.optuna:
        open_storage(options.optuna)
    store.check_location()
    if store.exists():
        store.create()
        with store.exclusively("run"):
            pass


def _check_layouts(plan: Plan, runtime: Runtime, device: str) -> None:
    """Refuse networks that cannot be trained in the layout that was asked for; ``device``: what ``auto`` is.

    Raises:
        BadInput: a training would write outside its memory.
    """
    device = device if runtime.device == "auto" else runtime.device.partition(":")[0]
    if runtime.layout != "channels-last" or device != "cpu":  # and no network is built for nothing
        return
    specs = [trial.config for trial in plan.to_run]
    for config in {(c.model, c.module, c.data.dataset, c.training.precision): c for c in specs}.values():
        try:
            check_layout(build_model(config.model, config.module, config.data.info, seed=0), config, runtime, device)
        except UnsafeLayout as error:
            raise BadInput(str(error)) from error


@contextmanager
def _with_studies(plan: Plan, store: Store, options: Options, shown: Shown, console: Console) -> Iterator[Sequence[Tracker]]:
    """Hold the storage as :func:`_held` does, and write the manifests of the plan's studies."""
    with _held(store, options, shown, console, seen=bool(plan.to_run)) as trackers:
        for manifest in plan.manifests:
            before = store.read_manifest(manifest.path)
            store.write_manifest(manifest.with_added(before) if before else manifest)
        yield trackers


@contextmanager
def _held(store: Store, options: Options, shown: Shown, console: Console, seen: bool = True) -> Iterator[Sequence[Tracker]]:
    """Create the storage if it does not exist, hold its lock, and update its views meanwhile.

    ``seen``: whether to check that every node of the cluster sees it.
    """
    store.create()
    plain = Store(store.uri)  # which sets no file of other studies aside
    with store.exclusively("run"), _tracked(plain, options, shown, console) as trackers:
        store.delete_abandoned()
        if seen:
            check_storage(store)
        yield trackers
        with suppress(BrokenRecordError, DiskFull):  # segments cost time only
            compact(plain, LOOSE)


@contextmanager
def _tracked(store: Store, options: Options, shown: Shown, console: Console) -> Iterator[Sequence[Tracker]]:
    """Update the views at the start, during the sweep and at its end."""
    trackers = list(_trackers(store, options, shown)) if options.tracking else []
    say = partial(console.print, markup=False, highlight=False)
    for tracker in trackers:
        tracker.start()
    try:
        yield trackers
    finally:
        for tracker in trackers:
            if not tracker.stop(waiting=partial(_say_behind, say, tracker.name)):
                say(f"{tracker.name} is behind ({tracker.error}); nothing is lost: `advsweep sync` updates it")
            for note in tracker.notes:
                say(note)


def _lag(trackers: Sequence[Tracker]) -> str:
    """Describe how far the views are behind."""
    return ", ".join(f"{tracker.name} {tracker.behind} behind" for tracker in trackers if tracker.behind)


def _say_behind(say: Callable[[str], None], name: str, behind: int) -> None:
    """Say how far a view is behind, while it is waited for."""
    say(f"{name} is {behind} trials behind; waiting for it, as long as it goes on")


def _trackers(store: Store, options: Options, shown: Shown) -> Iterator[Tracker]:
    """Yield a tracker for MLflow, and one for Optuna if its studies have a storage."""
    mlflow = MlflowView.open(store)
    yield Tracker(mlflow, last=partial(mlflow.sync_tables, shown.tables))
    if url := options.optuna or default_url(store):
        yield Tracker(OptunaView.open(url, store, shown.numbers))


@dataclass(frozen=True)
class _Listeners:
    """Passes the events of a sweep to the terminal and the trackers."""

    progress: Progress
    trackers: Sequence[Tracker]

    def started(self, key: str) -> None:
        self.progress.started(key)
        self._changed(key, live=True)

    def advanced(self, key: str, report: Report) -> None:
        self.progress.advanced(key, report)
        self._changed(key, live=not report.done)

    def failed(self, key: str, end: End) -> None:
        self.progress.failed(key, end)
        self._changed(key, live=False)

    def stopped(self, key: str, why: str) -> None:
        self.progress.stopped(key, why)
        self._changed(key, live=False)

    def _changed(self, key: str, live: bool) -> None:
        for tracker in self.trackers:
            tracker.changed(key, live)
