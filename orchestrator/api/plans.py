"""Plan studies, estimate their cost, and run them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.record.files import BrokenRecordError
from orchestrator.api.observer import Observer
from orchestrator.api.records import damaged, storage_errors
from orchestrator.api.shown import shown_of
from orchestrator.api.terms import STORAGE, Files, Names, ProfileName, as_names, as_paths
from orchestrator.authoring.study_files import find_studies
from orchestrator.cost.calibration import calibrate as time_batches
from orchestrator.cost.estimate import Estimate, commonest
from orchestrator.cost.estimate import estimate as estimate_plan
from orchestrator.cost.recorded import recorded
from orchestrator.cost.room import check_room
from orchestrator.cost.throughput import Throughput
from orchestrator.environment import configure_environment
from orchestrator.errors import Interrupted, SweepIncomplete
from orchestrator.execution.options import Options
from orchestrator.execution.progress import Outcome
from orchestrator.execution.upkeep.holding import holding, write_manifests
from orchestrator.planning import expansion
from orchestrator.planning.difference import Nearest, nearest
from orchestrator.planning.plan import Plan
from orchestrator.planning.selection import Selection, Where
from orchestrator.plugins.preflight import preflight
from orchestrator.record.store import Store
from search_spaces.study import Study
from trainables.config import Runtime


@dataclass(frozen=True)
class SweepResult:
    """The result of a run.

    ``plan``: the plan before the run. ``expected``: the estimated device-hours. ``outcome``: trials that failed, evaluations
    that failed or could not be run, and the device-hours that were used. ``storage``: the folder or URI of the record.
    """

    plan: Plan
    expected: Estimate
    outcome: Outcome
    storage: str

    def __repr__(self) -> str:
        trials, failed = len(self.plan.trials), len(self.failures)
        return f"SweepResult({trials} trials, {failed} failed, storage={self.storage!r})"

    @property
    def failures(self) -> dict[str, str]:
        """The reasons of failed trials, in this run or before it, by the trial's key."""
        now = {key: end.reason for key, end in self.outcome.failures.items()}
        return now | {t.key: t.recorded.reason for t in self.plan.failed}

    @property
    def failed_evaluations(self) -> dict[str, dict[str, str]]:
        """The reasons of failed evaluations and measurements, in this run or before it, by the trial's key and their names."""
        now = self.outcome.failed
        before = {t.key: t.failed for t in self.plan.trials if t.failed}
        return {key: {**before.get(key, {}), **now.get(key, {})} for key in before | now}

    def raise_for_failures(self) -> None:
        """Raise an error if a trial or an evaluation failed, or an evaluation could not be run.

        Raises:
            SweepIncomplete: the message has the counts, and the first reason of each.
        """
        reasons = self.failures
        problems = []
        if reasons:
            first = next(t for t in self.plan.trials if t.key in reasons)
            problems.append(
                f"{len(reasons)} of {len(self.plan.trials)} trials failed ({first.label}: {reasons[first.key]}); "
                "resume them with --retry-failed"
            )
        for words, lacking, remedy in (
            ("failed", self.failed_evaluations, "run them again with --retry-failed"),
            ("could not be run", self.outcome.not_run, "the same command runs them again"),
        ):
            if lacking:
                first = next(t for t in self.plan.trials if t.key in lacking)
                evaluation, reason = next(iter(lacking[first.key].items()))
                count = sum(map(len, lacking.values()))
                problems.append(f"{count} evaluations {words} ({first.label}, {evaluation}: {reason}); {remedy}")
        if problems:
            raise SweepIncomplete("; ".join(problems))


def plan(
    names: Names,
    *,
    profile: ProfileName = "paper",
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    study_files: Files = (),
    storage: str = STORAGE,
    retry_failed: bool = False,
    where: Where | None = None,
    columns: Sequence[str] = (),
) -> Plan:
    """Expand studies into trials and evaluations, each once, and mark those that the storage already holds. Starts nothing.

    Args:
        names: studies by name (``cifs/table-1``), alias (``cifs/robustness``) or pattern (``cifs/*``); one or several.
        profile: the data, network and schedule: ``paper``, ``short`` (30 epochs in bf16) or ``demo`` (handwritten digits).
        seeds: number of seeds, >= 1; None for the profile's.
        settings: fields to set in every trial that has them, by dotted name: ``{"training.lr": 0.1}``.
        study_files: ``.py`` or ``.toml`` files with user-defined studies and plugins.
        storage: a folder, or a URI that pyarrow knows (``s3://bucket/path``); it need not exist.
        retry_failed: whether trials and evaluations that failed before are run again.
        where: by the name of a factor the label, or the labels, of the rows that are planned, such as
            ``{"top_k": ["top-1", "top-2"]}``. A label may be cut to its value (``0.1`` for ``β = 0.1``) or be a pattern. None
            for all rows.
        columns: patterns of the columns that are planned, such as ``["Natural", "PGD*"]``; empty for all. What is left out is
            missing in the table until it is run.

    Raises:
        BadInput: a name, field or value is not allowed.
        Unavailable: the storage cannot be read.

    >>> import advsweep
    >>> made = advsweep.plan("cifs/table-5", profile="demo", storage="results")
    >>> len(made.trials), made.counts()["trials_to_run"]
    (8, 8)
    >>> made.trials[0].config.model.name
    'resnet-10'
    >>> part = advsweep.plan("cifs/table-5", profile="demo", storage="results", where={"top_k": "top-1"}, columns=["Natural*"])
    >>> len(part.trials)
    2
    """
    found = find_studies(as_names(names), as_paths(study_files))
    selected = Selection.of(where, columns)
    return plan_studies(found, profile, seeds, settings, Store(storage), retry_failed=retry_failed, selected=selected)


def plan_studies(
    studies: Sequence[Study],
    profile: str,
    seeds: int | None,
    settings: Mapping[str, Any] | None,
    store: Store,
    verify: bool = False,
    **more: Any,
) -> Plan:
    """Plan studies, mark what a storage's record holds, and run the preflight of the plugins in use.

    ``verify``: see :class:`.Options`. ``more``: further arguments of :func:`orchestrator.planning.expansion.plan`.
    """
    made = expansion.plan(studies, profile, seeds=seeds, overrides=settings, **more)
    with storage_errors(store.uri):
        store.check_location()
        if verify:
            store.verify(made.keys)
            if made.train:
                store.reopen_lost([trial.key for trial in made.trials])
        made = made.against(store.index(made.keys))
        made.check_sources(store.index(made.sources))
    preflight(made)
    return made


def why_new(plan: Plan, *, storage: str = STORAGE) -> dict[str, Nearest]:
    """Say why trials of a plan are new: in what each differs from the recorded trial that is most like it.

    Args:
        plan: as :func:`plan` returns it.
        storage: the folder or URI of the record.

    Returns:
        by the trial's key: the nearest recorded trial, and the fields and the code in which they differ; without trials that
        are recorded, and empty where nothing is recorded.

    Raises:
        Unavailable: the storage cannot be read, or its record is damaged.

    >>> import advsweep
    >>> longer = {"data.examples": 64, "model.width": 4, "training.epochs": 3}  # the recorded ones have 2
    >>> made = advsweep.plan("cifs/table-5", profile="demo", seeds=1, settings=longer, storage="results")
    >>> [str(change) for change in advsweep.why_new(made, storage="results")[made.trials[0].key].changes]
    ['training.epochs 2 -> 3']
    """
    store = Store(storage)
    with storage_errors(storage):
        recorded = store.configurations()
    there = {row["trial"] for row in recorded}
    return nearest([trial for trial in plan.trials if trial.key not in there], recorded)


def estimate(plan: Plan, *, storage: str = STORAGE, calibrate: bool = False, data_dir: str = "data") -> Estimate:
    """Estimate the device-hours of the trials and evaluations that a plan has left to run.

    Args:
        plan: as :func:`plan` returns it.
        storage: the folder or URI whose earlier trials give the seconds of a pass.
        calibrate: whether to time a few batches of the commonest training on this machine instead.
        data_dir: folder of the data sets, for ``calibrate``.

    Raises:
        Unavailable: the storage cannot be read, or the data set for ``calibrate`` does not exist.

    >>> import advsweep
    >>> made = advsweep.plan("cifs/table-5", profile="demo", storage="nothing-yet")
    >>> advsweep.estimate(made, storage="nothing-yet").total is None  # nothing was timed there
    True
    >>> advsweep.estimate(made, calibrate=True).total > 0
    True
    """
    if calibrate:
        config = commonest(plan)
        # A trial in a sweep has one thread too.
        runtime = Runtime(data_dir=str(Path(data_dir).expanduser().resolve()), threads=1)
        return estimate_plan(plan, time_batches(config, runtime) if config else Throughput())
    with storage_errors(storage):
        return estimate_plan(plan, recorded(Store(storage), needed=bool(plan.to_run)))


def run(
    names: Names,
    *,
    profile: ProfileName = "paper",
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    study_files: Files = (),
    storage: str = STORAGE,
    retry_failed: bool = False,
    where: Where | None = None,
    columns: Sequence[str] = (),
    options: Options | None = None,
    observer: Observer | None = None,
) -> SweepResult:
    """Train and evaluate what is not in the storage yet. To resume after a stop, call it again with the same arguments.

    Args:
        names, profile, seeds, settings, study_files, storage, retry_failed, where, columns: as in :func:`plan`.
        options: resources of a trial, cluster, data, tracking, and until when trials are run.
        observer: is passed the plan, and has the console for the progress of trials; None for no output.

    Returns:
        the plan and its outcome; failures are listed in it and raise nothing (see :meth:`SweepResult.raise_for_failures`).

    Raises:
        BadInput, Unavailable: before any trial starts.
        Interrupted: stopped before the end; finished work is kept.

    >>> import advsweep
    >>> small = {"data.examples": 64, "model.width": 4, "training.epochs": 2}  # takes seconds; its accuracies mean nothing
    >>> done = advsweep.run("cifs/table-5", profile="demo", seeds=1, settings=small, storage="results")
    >>> done.failures
    {}
    >>> advsweep.plan("cifs/table-5", profile="demo", seeds=1, settings=small, storage="results").to_run
    ()
    """
    options, observer = options or Options(), observer or Observer()
    made = plan_studies(
        find_studies(as_names(names), as_paths(study_files)),
        profile,
        seeds,
        settings,
        Store(storage, observer.damaged),
        options.verify,
        retry_failed=retry_failed,
        selected=Selection.of(where, columns),
    )
    return run_plan(made, storage, options, observer)


def run_plan(made: Plan, storage: str, options: Options | None = None, observer: Observer | None = None) -> SweepResult:
    """Train and evaluate what a plan has left to run; otherwise as :func:`run`."""
    configure_environment()
    observer, options = observer or Observer(), (options or Options()).resolved()
    expected = estimate(made, storage=storage)
    observer.planned(made, expected)
    check_room(made, Store(storage))
    store, shown = Store(storage, observer.damaged), shown_of(storage)
    try:
        if made.to_run:
            from orchestrator.execution.sweep import sweep

            outcome = sweep(made, store, options, shown, observer.console)
        else:  # without Ray and torch, which take seconds to import
            with holding(store, "run", options, shown, observer.console) as held:
                write_manifests(made, store, held)
            outcome = Outcome({}, {}, {})
    except KeyboardInterrupt:
        raise Interrupted from None
    except BrokenRecordError as error:
        raise damaged(storage, error) from error
    return SweepResult(made, expected, outcome, storage)
