"""A sweep: a plan on a cluster, watched, recorded and tracked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from rich.console import Console

from analysis.manifest import Manifest
from orchestrator.errors import BadInput, Interrupted
from orchestrator.execution import driver
from orchestrator.execution.cluster import Resources, cluster, find_data, resources, see_storage
from orchestrator.execution.job import Job
from orchestrator.execution.options import Options
from orchestrator.execution.progress import Progress
from orchestrator.planning.plan import Plan, PlannedTrial
from orchestrator.record.report import End, Report
from orchestrator.record.store import Store
from orchestrator.search.loop import Search
from orchestrator.tracking import mlflow_view
from orchestrator.tracking.mlflow_view import Tables, View
from orchestrator.tracking.optuna_storage import default_url, open_storage
from orchestrator.tracking.optuna_view import NumbersOf, OptunaView
from orchestrator.tracking.tracker import Tracker
from trainables.config import Runtime
from trainables.config.terms.registry import Entry
from trainables.models import build_model
from trainables.models.layout import UnsafeLayout, check_layout


class Outcome(NamedTuple):
    """What a sweep could not do, and what it took.

    ``failures``: why trials failed, by their keys. ``not_run``: of finished trials, by their keys, the
    reasons of evaluations that could not be run, by their labels. ``hours``: what its trials took; see :class:`Progress`.
    """

    failures: dict[str, End]
    not_run: dict[str, dict[str, str]]
    hours: float = 0.0

    def and_then(self, later: "Outcome") -> "Outcome":
        """This outcome and a later one, as one."""
        return Outcome(self.failures | later.failures, self.not_run | later.not_run, self.hours + later.hours)


class Shown(NamedTuple):
    """What views show of studies, which is made elsewhere: their ``tables`` for MLflow, tables' ``numbers`` for Optuna."""

    tables: Tables
    numbers: NumbersOf


def sweep(plan: Plan, store: Store, options: Options, shown: Shown, console: Console) -> Outcome:
    """Run what the plan has left to do.

    Raises:
        BadInput, Unavailable: before any trial starts; a storage that was not there is not made.
        Interrupted: stopped before the end.
    """
    if not plan.to_run:
        with _recorded(plan, store, options, shown, console):
            return Outcome({}, {})
    with _at_work(plan, store, options) as place, _recorded(plan, store, options, shown, console) as trackers:
        first = plan.ready()
        outcome = _run(first, store, place, trackers, console, plan.prefixes)
        # Attacks from trials that were just trained, and on those that others were trained through, come after them.
        if first.trials != plan.trials:
            rest = replace(plan.against(store.index(t.key for t in plan.trials)), retry_failed=False)
            outcome = outcome.and_then(_run(rest, store, place, trackers, console))
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
    """Run what a search asks for.

    ``begin``: makes it, once the storage is this process's alone. ``manifest``: what the storage is to say of it; it grows with
    every cell. ``samples``: some cells, of every data set and with every plugin that any may have.

    Raises:
        BadInput, Unavailable: as :func:`sweep`.
        Interrupted: stopped before the end.
    """
    with _at_work(samples, store, options) as place, _kept(store, options, shown, console) as trackers:
        found = begin()
        with Progress((), console, found.trials - found.looked_at) as progress:
            source = _Drawing(found, manifest, store, place.runtime, progress)
            driver.run(source, place.share, store, _Listeners(progress, trackers))
        if not source.over:
            raise Interrupted
        return found, Outcome(progress.failures, progress.not_run, progress.hours)


def _run(
    plan: Plan,
    store: Store,
    place: "_Place",
    trackers: Sequence[Tracker],
    console: Console,
    prefixes: Mapping[str, Sequence[PlannedTrial]] = MappingProxyType({}),
) -> Outcome:
    """Run what the plan has left to do, told to whoever listens. ``prefixes``: see :class:`.Plan`."""
    if not plan.to_run:
        return Outcome({}, {})
    jobs = [Job.of(trial, store, place.runtime, prefixes.get(trial.key, ())) for trial in plan.to_run]
    with Progress(plan.to_run, console) as progress:
        driver.run(driver.Queue(jobs), place.share, store, _Listeners(progress, trackers))
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

    def advanced(self, job: Job, report: Report) -> str | None:
        return self._search.advanced(job.key, report)

    def ended(self, job: Job) -> None:
        self._running.discard(job.key)
        self._search.ended(job.key)


class _Place(NamedTuple):
    """Where trials run: what each has of the cluster, and how."""

    share: Resources
    runtime: Runtime


@contextmanager
def _at_work(plan: Plan, store: Store, options: Options) -> Iterator[_Place]:
    """A cluster, whose nodes have a plan's data and know its parts of one's own."""
    _look_ahead(store, options)
    with cluster(options.address):
        share = resources(options.cpus, options.gpus, options.concurrent)
        runtime = replace(options.runtime, threads=max(1, int(share.cpus)))
        _check_layouts(plan, runtime, "cuda" if share.gpus else "cpu")
        plugins = frozenset[Entry]().union(*(t.plugins for t in plan.to_run))
        find_data(sorted({t.config.data.dataset for t in plan.to_run}), runtime, plugins)
        yield _Place(share, runtime)


def _look_ahead(store: Store, options: Options) -> None:
    """Tell before a cluster is started, and before anything is made, what would stop the sweep after it."""
    uri = mlflow_view.default_uri(store)
    if options.tracking and not uri.startswith("sqlite:"):
        mlflow_view.connect(uri)
    if options.optuna:
        open_storage(options.optuna)
    store.check_place()
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
def _recorded(plan: Plan, store: Store, options: Options, shown: Shown, console: Console) -> Iterator[Sequence[Tracker]]:
    """As :func:`_kept`, with the plan's studies."""
    with _kept(store, options, shown, console, seen=bool(plan.to_run)) as trackers:
        for manifest in plan.manifests:
            before = store.read_manifest(manifest.path)
            store.write_manifest(manifest.with_added(before) if before else manifest)
        yield trackers


@contextmanager
def _kept(store: Store, options: Options, shown: Shown, console: Console, seen: bool = True) -> Iterator[Sequence[Tracker]]:
    """The storage, made if it is not there and held by this sweep alone; and its views, if they are wanted.

    ``seen``: whether every node of the cluster must see it.
    """
    store.create()
    with store.exclusively("run"), _tracked(store, options, shown, console) as trackers:
        if seen:
            see_storage(store)
        yield trackers


@contextmanager
def _tracked(store: Store, options: Options, shown: Shown, console: Console) -> Iterator[Sequence[Tracker]]:
    """The views, brought up to the record now, during the sweep and at its end."""
    trackers = list(_trackers(store, options, shown)) if options.tracking else []
    for tracker in trackers:
        tracker.start()
    try:
        yield trackers
    finally:
        for tracker in trackers:
            if not tracker.stop():
                console.print(
                    f"{tracker.name} is behind ({tracker.error}); nothing is lost: `advsweep sync` catches it up",
                    markup=False,
                    highlight=False,
                )


def _trackers(store: Store, options: Options, shown: Shown) -> Iterator[Tracker]:
    """One for MLflow, and one for Optuna where its studies have a place."""
    mlflow = View(mlflow_view.connect(mlflow_view.default_uri(store)), store)
    yield Tracker(mlflow, last=partial(mlflow.sync_tables, shown.tables))
    if url := options.optuna or default_url(store):
        yield Tracker(OptunaView(open_storage(url), store, shown.numbers))


@dataclass(frozen=True)
class _Listeners:
    """The terminal and the views, all told."""

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
