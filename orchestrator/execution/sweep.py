"""A sweep: runs a plan or a search on a cluster, with its record, progress and views."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from rich.console import Console

from analysis.record.files import BrokenRecordError
from analysis.record.manifest import Manifest
from analysis.record.names import digest
from orchestrator.errors import DiskFull, Interrupted, Unavailable
from orchestrator.execution import driver
from orchestrator.execution.cluster import Resources, check_storage, cluster, prepare_nodes, resources
from orchestrator.execution.job import Job
from orchestrator.execution.options import Options
from orchestrator.execution.progress import Outcome, Progress
from orchestrator.execution.provenance.origin import NOWHERE, Origin, origin_of
from orchestrator.execution.sources import Claimed, JobSource, Queue, SearchJobs
from orchestrator.planning.plan import Plan, PlannedTrial
from orchestrator.plugins.preflight import check_layouts
from orchestrator.record.compaction import LOOSE, compact
from orchestrator.record.report import End, Report
from orchestrator.record.sharing.claims import VIEWS, Claims
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
    with _prepared_cluster(plan, store, options) as allocation, _with_studies(plan, store, options, shown, console) as held:
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
    with _prepared_cluster(samples, store, options) as allocation, _held(store, "search", options, shown, console) as held:
        if other := held.claims.claim(f"search-{digest(name.encode())}"):
            raise Unavailable(f"the search {name} is being run by {other}; wait for it or stop it")
        found = begin()
        with Progress((), console, found.trials - found.tried, partial(_lag, held.trackers)) as progress:
            source = SearchJobs(found, manifest, store, allocation.runtime, progress.add, held.origin)
            _drive(source, store, allocation, held, progress)
        if not source.over:
            raise allocation.interrupted()
        return found, progress.outcome


def _run(
    plan: Plan,
    store: Store,
    allocation: "_Allocation",
    held: "_Held",
    console: Console,
    prefixes: Mapping[str, Sequence[PlannedTrial]] = MappingProxyType({}),
) -> Outcome:
    """Run the jobs of a plan on a prepared cluster. ``prefixes``: see :class:`.Plan`."""
    if not plan.to_run:
        return Outcome({}, {}, {})
    begun = (prefixes.get(trial.key, ()) for trial in plan.to_run)
    jobs = [
        Job.of(t, store, allocation.runtime, on_the_way, held.origin) for t, on_the_way in zip(plan.to_run, begun, strict=True)
    ]
    with Progress(plan.to_run, console, lag=partial(_lag, held.trackers)) as progress:
        _drive(Queue(jobs), store, allocation, held, progress, plan.retry_failed)
    if progress.done + len(progress.failures) < len(jobs):
        raise allocation.interrupted()
    return progress.outcome


def _drive(
    source: JobSource, store: Store, allocation: "_Allocation", held: "_Held", progress: Progress, retry_failed: bool = False
) -> None:
    """Run the jobs of a source, each once its trial is claimed."""
    listeners = _Listeners(progress, held.trackers)
    claimed = Claimed(source, store, held.claims, listeners, retry_failed)
    driver.run(claimed, allocation.share, store, listeners, allocation.until)


class _Held(NamedTuple):
    """What a driver holds of a storage: its ``claims``, and ``trackers`` of the views if it is the one that updates them.

    ``origin``: of the command, which was started in the folder that it is in now.
    """

    claims: Claims
    trackers: Sequence[Tracker]
    origin: Origin


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


@contextmanager
def _with_studies(plan: Plan, store: Store, options: Options, shown: Shown, console: Console) -> Iterator[_Held]:
    """Join the drivers of the storage as :func:`_held` does, and write the manifests of the plan's studies."""
    with _held(store, "run", options, shown, console, seen=bool(plan.to_run)) as held:
        with held.claims.turn("manifests"):
            for manifest in plan.manifests:
                before = store.read_manifest(manifest.path)
                store.write_manifest(manifest.with_added(before) if before else manifest)
        yield held


@contextmanager
def _held(store: Store, command: str, options: Options, shown: Shown, console: Console, seen: bool = True) -> Iterator[_Held]:
    """Create the storage if it does not exist, join its drivers, and update its views meanwhile.

    ``seen``: whether something will be run, so that every node of the cluster must see it.
    """
    store.create()
    plain = Store(store.uri)  # which sets no file of other studies aside
    with Claims.joined(store, command) as claims, _tracked(plain, options, shown, claims, console) as trackers:
        store.delete_abandoned()
        if seen:
            check_storage(store)
        yield _Held(claims, trackers, origin_of(Path.cwd(), store) if seen else NOWHERE)
        with suppress(BrokenRecordError, DiskFull):  # segments cost time only
            compact(plain, LOOSE)


@contextmanager
def _tracked(store: Store, options: Options, shown: Shown, claims: Claims, console: Console) -> Iterator[Sequence[Tracker]]:
    """Update the views at the start, during the sweep and at its end, unless another driver of the storage does."""
    say = partial(console.print, markup=False, highlight=False)
    if not options.tracking:
        yield ()
        return
    trackers: list[Tracker] = []
    if other := claims.claim(VIEWS):
        say(f"MLflow and Optuna are updated by {other}")
    else:
        trackers = _started(store, options, shown, claims)
    try:
        yield trackers
    finally:
        # The last update shows what every driver has recorded: each asks for it, and does it unless another one is at it.
        claims.ask(VIEWS)
        while claims.claim(VIEWS) is None:
            claims.take_request(VIEWS)
            _stop(trackers or _started(store, options, shown, claims), say)
            claims.release(VIEWS)
            trackers = []
            if not claims.asked(VIEWS):
                break


def _started(store: Store, options: Options, shown: Shown, claims: Claims) -> list[Tracker]:
    """Start a tracker for MLflow, and one for Optuna if its studies have a storage."""
    mlflow = MlflowView.open(store)
    trackers = [Tracker(mlflow, partial(mlflow.sync_tables, shown.tables), claims.others)]
    if url := options.optuna or default_url(store):
        trackers.append(Tracker(OptunaView.open(url, store, shown.numbers), others=claims.others))
    for tracker in trackers:
        tracker.start()
    return trackers


def _stop(trackers: Sequence[Tracker], say: Callable[[str], None]) -> None:
    """Let trackers do their last update, and say what they could not do."""
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
