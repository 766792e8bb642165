"""Commands that plan and run studies."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as RichTable

from analysis.record.schema import Status
from orchestrator.api.terms import storage_option
from orchestrator.cli.options import DataDir, Json, Names, StudyOptions, with_options
from orchestrator.cli.printing import Printer, out, print_counts, print_hours, print_json, print_tables

if TYPE_CHECKING:
    from orchestrator.execution.options import Options
    from orchestrator.planning.plan import Plan, PlannedTrial


@with_options
def plan(
    names: Names,
    *,
    study: StudyOptions,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Estimate from a few batches of the commonest training here, not from the record."),
    ] = False,
    data_dir: DataDir = "data",
    as_json: Json = False,
) -> None:
    """Show what a run would train and evaluate, what studies share, what the storage holds already, and the device-hours.

    Starts nothing, except for the few batches of --calibrate.

    Example: `advsweep plan 'cifs/*' --profile short --seeds 5`
    """
    from orchestrator.api import plans

    made = plans.plan(names, **vars(study))
    expected = plans.estimate(made, storage=study.storage, calibrate=calibrate, data_dir=data_dir)
    if as_json:
        print_json({**made.counts(), **expected.as_json(), "trials": [_as_json(trial) for trial in made.trials]})
        return
    _print_trials(made)
    print_counts(made, expected)


@with_options
def run(names: Names, *, study: StudyOptions, options: "Options") -> None:
    """Train and evaluate what the storage lacks, then print the tables. To resume after a stop, run the same command again.

    Example: `advsweep run cifs/robustness --profile demo`
    """
    from orchestrator.api import plans

    done = plans.run(names, **vars(study), options=options, observer=Printer())
    print_hours(done)
    print_tables(done)
    out.print(f"\nMLflow's UI on these runs: advsweep ui{storage_option(study.storage)}")
    done.raise_for_failures()


def _as_json(trial: "PlannedTrial") -> dict[str, Any]:
    return {
        "trial": trial.key,
        "arms": dict(trial.arms),
        "seed": trial.config.seed,
        "status": trial.recorded.status if trial.recorded.epochs else "new",
        "epochs": trial.recorded.epochs,
        "evaluations_to_run": len(trial.missing),
        "measurements_to_run": len(trial.unmeasured),
    }


def _print_trials(made: "Plan") -> None:
    table = RichTable("trial", "arm", "seed", "studies", "there already", "evaluations to run", box=None, pad_edge=False)
    for t in made.trials:
        epochs = f"{min(t.recorded.epochs, t.config.training.epochs)}/{t.config.training.epochs} epochs"
        there = t.recorded.status if t.recorded.status in (Status.FINISHED, Status.FAILED) else epochs
        arm = next(iter(t.arms.values()))
        table.add_row(t.key[:8], arm, str(t.config.seed), ", ".join(t.arms), there, str(len(t.missing)))
    Console().print(table)
