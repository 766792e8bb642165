"""A sweep: a plan on a cluster, watched, recorded and tracked."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rich.console import Console

from analysis.schema import Manifest
from orchestrator import ray_tune, tracking
from orchestrator.cluster import Resources, cluster, find_data, resources, see_storage
from orchestrator.errors import Interrupted
from orchestrator.options import Options
from orchestrator.plan import Plan
from orchestrator.progress import Progress
from orchestrator.search import Search
from orchestrator.store import Store
from orchestrator.tracking import Tables, Tracker, View
from orchestrator.worker import Job
from trainables.config import Runtime
from trainables.config.own import Part


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
    datasets: set[str] = {t.config.data.dataset for t in plan.to_run}
    parts = frozenset[Part]().union(*(t.parts for t in plan.to_run))
    with _at_work(datasets, store, options, parts) as place, _recorded(plan, store, options, tables, console) as tracker:
        first = plan.ready()
        outcome = _run(first, store, place, tracker, console)
        # Attacks from trials that were just trained come after them.
        if first.trials != plan.trials:
            rest = replace(plan.against(store.index(t.key for t in plan.trials)), retry_failed=False)
            outcome = outcome.and_then(_run(rest, store, place, tracker, console))
    return outcome


def search(
    begin: Callable[[], Search],
    manifest: Callable[[Search], Manifest],
    dataset: str,
    store: Store,
    options: Options,
    tables: Tables,
    console: Console,
) -> tuple[Search, Outcome]:
    """Run what a search asks for.

    ``begin``: makes it, once the storage is this process's alone. ``manifest``: what the storage is to say of it; it grows with
    every cell. ``dataset``: what it trains on.

    Raises:
        BadInput, Unavailable: as :func:`sweep`.
        Interrupted: stopped before the end.
    """
    with _at_work({dataset}, store, options) as place, _kept(store, options, tables, console) as tracker:
        found = begin()
        with Progress((), console, found.trials - found.looked_at) as progress:
            source = _Drawing(found, manifest, store, place.runtime, progress)
            ray_tune.run(source, place.share, store, _Listeners(progress, tracker))
        if not source.over:
            raise Interrupted
        return found, Outcome(progress.failures, progress.not_run, progress.hours)


def _run(plan: Plan, store: Store, place: "_Place", tracker: Tracker | None, console: Console) -> Outcome:
    """Run what the plan has left to do, told to whoever listens."""
    if not plan.to_run:
        return Outcome({}, {})
    jobs = [Job.of(trial, store, place.runtime) for trial in plan.to_run]
    with Progress(plan.to_run, console) as progress:
        ray_tune.run(ray_tune.Queue(jobs), place.share, store, _Listeners(progress, tracker))
    if progress.done + len(progress.failures) < len(jobs):
        raise Interrupted
    return Outcome(progress.failures, progress.not_run, progress.hours)


class _Drawing:
    """The jobs of a search, each recorded before it runs.

    Attributes:
        over: whether the search has said that no other comes, and nothing that it asked for is left to do.
    """

    def __init__(
        self, found: Search, manifest: Callable[[Search], Manifest], store: Store, runtime: Runtime, progress: Progress
    ) -> None:
        self._search, self._manifest, self._store, self._runtime, self._progress = found, manifest, store, runtime, progress
        self._last = False
        self._running: set[str] = set()

    @property
    def over(self) -> bool:
        return self._last and not self._running

    def next(self) -> Job | None:
        planned = self._search.next()
        if planned is None:
            self._last = True
            return None
        self._store.write_manifest(self._manifest(self._search))
        self._progress.add(planned)
        self._running.add(planned.key)
        return Job.of(planned, self._store, self._runtime)

    def advanced(self, job: Job, result: dict[str, Any]) -> str | None:
        return self._search.advanced(job.key, result)

    def ended(self, job: Job) -> None:
        self._running.discard(job.key)
        self._search.ended(job.key)


class _Place(NamedTuple):
    """Where trials run: what each has of the cluster, and how."""

    share: Resources
    runtime: Runtime


@contextmanager
def _at_work(datasets: Iterable[str], store: Store, options: Options, parts: Collection[Part] = ()) -> Iterator[_Place]:
    """A cluster, whose nodes have the data and know these parts of one's own."""
    _look_ahead(store, options)
    with cluster(options.address):
        share = resources(options.cpus, options.gpus, options.concurrent)
        runtime = replace(options.runtime, threads=max(1, int(share.cpus)))
        find_data(sorted(datasets), runtime, parts)
        yield _Place(share, runtime)


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
    """As :func:`_kept`, with the plan's studies."""
    with _kept(store, options, tables, console, seen=bool(plan.to_run)) as tracker:
        for manifest in plan.manifests:
            before = store.read_manifest(manifest.path)
            store.write_manifest(manifest.with_added(before) if before else manifest)
        yield tracker


@contextmanager
def _kept(store: Store, options: Options, tables: Tables, console: Console, seen: bool = True) -> Iterator[Tracker | None]:
    """The storage, made if it is not there and held by this sweep alone, and MLflow, if it is wanted.

    ``seen``: whether every node of the cluster must see it.
    """
    store.create()
    with store.exclusively("run"), _tracked(store, options.tracking, tables, console) as tracker:
        if seen:
            see_storage(store)
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

    def stopped(self, key: str, why: str) -> None:
        self.progress.stopped(key, why)
        if self.tracker:
            self.tracker.changed(key, live=False)
