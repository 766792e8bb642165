"""Commands that plan, train and attack."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as RichTable

from analysis.schema import Status
from orchestrator.cli.options import (
    STORAGE,
    DataDir,
    Json,
    Names,
    ProfileOption,
    RetryFailed,
    Seeds,
    Set,
    Storage,
    StudyFiles,
    find_studies,
    out,
    print_json,
    storage_option,
    with_sweep_options,
)
from orchestrator.cli.tables import print_table, shown_of
from orchestrator.errors import Interrupted, SweepIncomplete, Unavailable

if TYPE_CHECKING:
    from orchestrator.cost.estimate import Estimate
    from orchestrator.execution.options import Options
    from orchestrator.execution.sweep import Outcome
    from orchestrator.planning.plan import Plan
    from orchestrator.record.store import Store
    from search_spaces.study import Study


def plan(
    names: Names,
    profile: ProfileOption = "paper",
    seeds: Seeds = None,
    settings: Set = None,
    study_file: StudyFiles = None,
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Time a few batches of the commonest training here, instead of the record.")
    ] = False,
    data_dir: DataDir = "data",
    as_json: Json = False,
) -> None:
    """Show what a run would train and evaluate, what the studies share, what is there already, and how long it would take.

    Starts nothing, but for the few batches of --calibrate.

    Example: `advsweep plan 'cifs/*' --profile short --seeds 5`
    """
    made, store = make_plan(find_studies(names, study_file), profile, seeds, settings, storage, retry_failed=retry_failed)
    expected = _calibrated(made, data_dir) if calibrate else _expected(made, store)
    if as_json:
        trials = [
            {
                "trial": t.key,
                "arms": dict(t.arms),
                "seed": t.config.seed,
                "status": t.recorded.status if t.recorded.epochs else "new",
                "epochs": t.recorded.epochs,
                "evaluations_to_run": len(t.missing),
                "measurements_to_run": len(t.unmeasured),
            }
            for t in made.trials
        ]
        print_json({**made.counts(), **expected.as_json(), "trials": trials})
        return
    table = RichTable("trial", "arm", "seed", "studies", "there already", "evaluations to run", box=None, pad_edge=False)
    for t in made.trials:
        epochs = f"{min(t.recorded.epochs, t.config.training.epochs)}/{t.config.training.epochs} epochs"
        there = t.recorded.status if t.recorded.status in (Status.FINISHED, Status.FAILED) else epochs
        arm = next(iter(t.arms.values()))
        table.add_row(t.key[:8], arm, str(t.config.seed), ", ".join(t.arms), there, str(len(t.missing)))
    Console().print(table)
    _print_counts(made, expected)


@with_sweep_options
def run(
    names: Names,
    profile: ProfileOption = "paper",
    seeds: Seeds = None,
    settings: Set = None,
    study_file: StudyFiles = None,
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
    *,
    options: "Options",
) -> None:
    """Train and evaluate what is not there yet, then print the tables. To go on after any stop, run the same command again.

    Example: `advsweep run cifs/robustness --profile demo`
    """
    made, store = make_plan(find_studies(names, study_file), profile, seeds, settings, storage, retry_failed=retry_failed)
    outcome = run_plan(made, store, options, storage)
    for manifest in made.manifests:
        out.print()
        print_table(storage, manifest, "both", "minimum")
    out.print(f"\nMLflow's UI on these runs: advsweep ui{storage_option(storage)}")
    tell_failures(made, outcome)


def make_plan(
    studies: "Sequence[Study]", profile: str, seeds: int | None, settings: list[str] | None, storage: str, **more: Any
) -> "tuple[Plan, Store]":
    """These studies' plan against a storage's record, and the record. ``more``: see :func:`.expansion.plan`."""
    from orchestrator.planning.expansion import plan as make
    from orchestrator.planning.settings import parse
    from orchestrator.plugins.preflight import preflight
    from orchestrator.record.store import Store

    made = make(studies, profile, seeds=seeds, overrides=parse(settings or []), **more)
    store = Store(storage)
    try:
        made = made.against(store.index(t.key for t in made.trials))
        made.check_sources(store.index(made.sources))
    except OSError as error:
        raise Unavailable(f"--storage {storage!r} cannot be read: {str(error).splitlines()[0]}") from error
    preflight(made)
    return made, store


def run_plan(made: "Plan", store: "Store", options: "Options", storage: str, console: Console = out) -> "Outcome":
    """Run a plan, telling ``console``; what could not be done."""
    from orchestrator.cost.estimate import hours_text

    expected = _expected(made, store)
    _print_counts(made, expected, console)
    try:
        from orchestrator.execution.sweep import sweep

        outcome = sweep(made, store, options, shown_of(storage), console)
    except KeyboardInterrupt:
        raise Interrupted from None
    if made.to_run:
        beside = f", where {hours_text(expected.total)} were expected" if expected.total is not None else ""
        console.print(f"it took {hours_text(outcome.hours)} device-hours{beside}", highlight=False)
    return outcome


def tell_failures(made: "Plan", outcome: "Outcome") -> None:
    """End with an error if trials failed, now or before, or if an evaluation could not be run."""
    reasons = {key: end.reason for key, end in outcome.failures.items()} | {t.key: t.recorded.reason for t in made.failed}
    told = []
    if reasons:
        first = next(t for t in made.trials if t.key in reasons)
        told.append(
            f"{len(reasons)} of {len(made.trials)} trials failed ({first.label}: {reasons[first.key]}); "
            "take them up again with --retry-failed"
        )
    if outcome.not_run:
        first = next(t for t in made.trials if t.key in outcome.not_run)
        evaluation, reason = next(iter(outcome.not_run[first.key].items()))
        told.append(
            f"{sum(map(len, outcome.not_run.values()))} evaluations could not be run ({first.label}, {evaluation}: {reason}); "
            "the same command tries them again"
        )
    if told:
        raise SweepIncomplete("; ".join(told))


def _expected(made: "Plan", store: "Store") -> "Estimate":
    """What a plan takes, by the storage's record."""
    from orchestrator.cost.estimate import estimate
    from orchestrator.cost.throughput import recorded

    try:
        return estimate(made, recorded(store))
    except OSError as error:
        raise Unavailable(f"--storage {store.uri!r} cannot be read: {str(error).splitlines()[0]}") from error


def _calibrated(made: "Plan", data_dir: str) -> "Estimate":
    """What a plan takes, by a few of its batches on this machine; with nothing to do, nothing is timed."""
    from orchestrator.cost.calibration import calibrate
    from orchestrator.cost.estimate import commonest, estimate
    from orchestrator.cost.throughput import Throughput
    from trainables.config import Runtime

    config = commonest(made)
    # As many threads as a trial of a run has.
    runtime = Runtime(data_dir=str(Path(data_dir).expanduser().resolve()), threads=1)
    return estimate(made, calibrate(config, runtime) if config else Throughput())


def _print_counts(made: "Plan", expected: "Estimate", console: Console = out) -> None:
    n = made.counts()
    shared = n["trials_requested"] - n["trials_unique"]
    console.print(
        f"{n['trials_requested']} trials asked for, {n['trials_unique']} after sharing ({shared} shared): "
        f"{n['trials_cached']} there already, {n['trials_to_run']} to train"
        + (f" and {n['trials_begun']} on their way" if n["trials_begun"] else "")
        + f"; {n['evaluations_to_run']} evaluations to run"
        + (f", {n['measurements_to_run']} measurements" if n["measurements_to_run"] else "")
        + (f"; {n['trials_failed']} failed before (--retry-failed takes them up again)" if n["trials_failed"] else ""),
        highlight=False,
    )
    console.print(
        f"{n['evaluations_requested']} evaluations asked for, {n['evaluations_unique']} after sharing; {expected}",
        highlight=False,
    )
