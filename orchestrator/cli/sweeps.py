"""Commands that plan and run studies."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.record.schema import Status
from orchestrator.api.terms import storage_option
from orchestrator.cli.options import DataDir, Json, Names, SelectionOptions, StudyOptions, with_options
from orchestrator.cli.printing import (
    Printer,
    out,
    print_columns,
    print_counts,
    print_hours,
    print_json,
    print_tables,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.execution.options import Options
    from orchestrator.planning.difference import Nearest
    from orchestrator.planning.plan import Plan, PlannedTrial


@with_options
def plan(
    names: Names,
    *,
    study: StudyOptions,
    selection: SelectionOptions,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Estimate from a few batches of the commonest training here, not from the record."),
    ] = False,
    data_dir: DataDir = "data",
    why: Annotated[
        bool, typer.Option("--why", help="Say of each new trial in what it differs from the recorded one that is most like it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a run would train and evaluate, what studies share, what the storage holds already, and the device-hours.

    Starts nothing, except for the few batches of --calibrate.

    Example: `advsweep plan 'cifs/*' --profile short --seeds 5`

    Example: `advsweep plan cifs/robustness --profile demo --set training.epochs=8 --why`
    """
    from orchestrator.api import plans

    made = plans.plan(names, **vars(study), **vars(selection))
    expected = plans.estimate(made, storage=study.storage, calibrate=calibrate, data_dir=data_dir)
    new = plans.why_new(made, storage=study.storage) if why else {}
    if as_json:
        trials = [_as_json(trial, new.get(trial.key)) for trial in made.trials]
        print_json({**made.counts(), **expected.as_json(), "trials": trials})
        return
    _print_trials(made)
    print_counts(made, expected)
    _print_why(made, new)


@with_options
def run(names: Names, *, study: StudyOptions, selection: SelectionOptions, options: "Options") -> None:
    """Train and evaluate what the storage lacks, then print the tables. To resume after a stop, run the same command again.

    Example: `advsweep run cifs/robustness --profile demo`

    Example: `advsweep run cifs/beta --where "beta=0.1" --columns Natural --columns "PGD*" --until 8h`
    """
    from orchestrator.api import plans

    done = plans.run(names, **vars(study), **vars(selection), options=options, observer=Printer())
    print_hours(done)
    print_tables(done)
    out.print(f"\nMLflow's UI on these runs: advsweep ui{storage_option(study.storage)}")
    done.raise_for_failures()


def _as_json(trial: "PlannedTrial", why: "Nearest | None") -> dict[str, Any]:
    known = {
        "trial": trial.key,
        "arms": dict(trial.arms),
        "seed": trial.config.seed,
        "status": trial.recorded.status if trial.recorded.epochs else "new",
        "epochs": trial.recorded.epochs,
        "evaluations_to_run": len(trial.missing),
        "measurements_to_run": len(trial.unmeasured),
    }
    return known | ({"nearest": why.trial, "changes": [vars(change) for change in why.changes]} if why else {})


def _print_why(made: "Plan", new: "Mapping[str, Nearest]") -> None:
    """Print why trials are new; those with the same differences share a line."""
    alike: dict[str, list[str]] = {}
    for trial in made.trials:
        if trial.key in new:
            alike.setdefault(", ".join(map(str, new[trial.key].changes)), []).append(trial.key)
    labels = {trial.key: trial.label for trial in made.trials}
    for keys in alike.values():
        which = f"{labels[keys[0]]} and {len(keys) - 1} more are" if len(keys) > 1 else f"{labels[keys[0]]} is"
        out.print(f"{which} new: {new[keys[0]]}", markup=False, highlight=False)


def _print_trials(made: "Plan") -> None:
    rows = []
    for t in made.trials:
        epochs = f"{min(t.recorded.epochs, t.config.training.epochs)}/{t.config.training.epochs} epochs"
        there = t.recorded.status if t.recorded.status in (Status.FINISHED, Status.FAILED) else epochs
        arm = next(iter(t.arms.values()))
        rows.append((t.key[:8], arm, str(t.config.seed), ", ".join(t.arms), there, str(len(t.missing))))
    print_columns(("trial", "arm", "seed", "studies", "there already", "evaluations to run"), rows)
