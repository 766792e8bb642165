"""A sweep: runs a plan or a search on a cluster, with its record, progress and views."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from rich.console import Console

from analysis.record.manifest import Manifest
from analysis.record.names import digest
from orchestrator.errors import Interrupted, Unavailable
from orchestrator.execution import driver
from orchestrator.execution.cluster import Resources, check_storage, cluster, prepare_nodes, resources
from orchestrator.execution.job import Job
from orchestrator.execution.options import Options
from orchestrator.execution.progress import Outcome, Progress
from orchestrator.execution.provenance.origin import NOWHERE, Origin, origin_of
from orchestrator.execution.sources import Claimed, JobSource, Queue, SearchJobs
from orchestrator.execution.upkeep.holding import Held, holding, write_manifests
from orchestrator.execution.upkeep.shown import Shown
from orchestrator.planning.plan import Plan, PlannedTrial
from orchestrator.plugins.preflight import check_layouts
from orchestrator.record.report import End, Report
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store
from orchestrator.search.loop import Search
from orchestrator.tracking.mlflow_database import connect, default_uri
from orchestrator.tracking.optuna_storage import open_storage
from orchestrator.tracking.tracker import Tracker
from trainables.config import Runtime
from trainables.config.terms.registry import Entry


def sweep(plan: Plan, store: Store, options: Options, shown: Shown, console: Console) -> Outcome:
    """Run every trial, evaluation and measurement of a plan that is not recorded yet; there must be one.

    Raises:
        BadInput, Unavailable: before any trial starts, and before a new storage is created.
        Interrupted: stopped before the end.
    """
    with _prepared_cluster(plan, store, options) as allocation, holding(store, "run", options, shown, console) as held:
        check_storage(store)
        allocation = allocation._replace(origin=origin_of(Path.cwd(), store))
        plan = plan.against(store.index(plan.keys))  # another driver, or a removal, may have changed the record meanwhile
        write_manifests(plan, store, held)
        first = plan.ready()
        outcome = _run(first, store, allocation, held, console, plan.prefixes)
        # In a second run: attacks that are transferred from trials of the first, and evaluations of prefixes.
        if first.trials != plan.trials:
            rest = replace(plan, retry_failed=False).against(store.index(t.key for t in plan.trials))
            outcome = outcome.and_then(_run(rest, store, allocation, held, console))
    return outcome


def search(
    begin: Callable[[], Search],
    name: str,
    manifest: Callable[[Search], Manifest],
    samples: Plan,
    store: Store,
    options: Options,
    shown: Shown,
    console: Console,
) -> tuple[Search, Outcome]:
    """Run the trials of a search, and return the search with what it found.

    Args:
        begin: makes the search, once this driver has claimed it.
        name: of the search: one driver runs it.
        manifest: describes the search for the storage; called again for every trial.
        samples: a plan with every data set and plugin that the search may need, to prepare the nodes.

    Raises:
        BadInput, Unavailable: before any trial starts.
        Interrupted: stopped before the end.
    """
    with _prepared_cluster(samples, store, options) as allocation, holding(store, "search", options, shown, console) as held:
        check_storage(store)
        allocation = allocation._replace(origin=origin_of(Path.cwd(), store))
        if other := held.claims.claim(f"search-{digest(name.encode())}"):
            raise Unavailable(f"the search {name} is being run by {other}; wait for it or stop it")
        found = begin()
        with Progress((), console, found.trials - found.tried, partial(_lag, held.trackers)) as progress:
            source = SearchJobs(found, manifest, store, allocation.runtime, progress.add, allocation.origin)
            _drive(source, store, allocation, held, progress)
        if not source.over:
            raise allocation.interrupted()
        return found, progress.outcome


def _run(
    plan: Plan,
    store: Store,
    allocation: "_Allocation",
    held: Held,
    console: Console,
    prefixes: Mapping[str, Sequence[PlannedTrial]] = MappingProxyType({}),
) -> Outcome:
    """Run the jobs of a plan on a prepared cluster. ``prefixes``: see :class:`.Plan`."""
    if not plan.to_run:
        return Outcome({}, {}, {})
    begun = (prefixes.get(trial.key, ()) for trial in plan.to_run)
    jobs = [
        Job.of(t, store, allocation.runtime, on_the_way, allocation.origin, plan.train)
        for t, on_the_way in zip(plan.to_run, begun, strict=True)
    ]
    with Progress(plan.to_run, console, lag=partial(_lag, held.trackers)) as progress:
        _drive(Queue(jobs), store, allocation, held, progress, plan.retry_failed)
    if progress.done + len(progress.failures) < len(jobs):
        raise allocation.interrupted()
    return progress.outcome


def _drive(
    source: JobSource, store: Store, allocation: "_Allocation", held: Held, progress: Progress, retry_failed: bool = False
) -> None:
    """Run the jobs of a source, each once its trial is claimed."""
    listeners = _Listeners(progress, held.trackers)
    claimed = Claimed(source, store, held.claims, listeners, retry_failed)
    driver.run(claimed, allocation.share, store, listeners, allocation.until)


class _Allocation(NamedTuple):
    """What the trials of a sweep run with: the ``share`` of the cluster that each gets, their runtime, and until when.

    ``origin``: of the command, once its storage exists.
    """

    share: Resources
    runtime: Runtime
    until: datetime | None
    origin: Origin = NOWHERE

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
        check_layouts(plan, runtime, "cuda" if share.gpus else "cpu")
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
        with Claims.joined(store, "run"):
            pass


def _lag(trackers: Sequence[Tracker]) -> str:
    """Describe how far the views are behind."""
    return ", ".join(f"{tracker.name} {tracker.behind} behind" for tracker in trackers if tracker.behind)


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

    def elsewhere(self, key: str, driver: str) -> None:
        self.progress.elsewhere(key, driver)

    def failed(self, key: str, end: End) -> None:
        self.progress.failed(key, end)
        self._changed(key, live=False)

    def stopped(self, key: str, why: str) -> None:
        self.progress.stopped(key, why)
        self._changed(key, live=False)

    def _changed(self, key: str, live: bool) -> None:
        for tracker in self.trackers:
            tracker.changed(key, live)
