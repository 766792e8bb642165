"""The command that searches: Optuna samples parameters, Ray Tune trains them, the best are trained for all seeds."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from orchestrator.api.terms import storage_option
from orchestrator.cli.options import Json, StudyOptions, with_options
from orchestrator.cli.printing import Printer, err, out, print_columns, print_hours, print_json, print_table
from orchestrator.search.options import PrunerName, SamplerName, SearchOptions

if TYPE_CHECKING:
    from orchestrator.api.searches import SearchResult
    from orchestrator.execution.options import Options
    from orchestrator.search.loop import Search
    from orchestrator.search.request import SearchRequest

#: Configurations that are printed.
SHOWN = 20


@with_options
def search(
    space: Annotated[str, typer.Argument(help="A paper (cas, cifs, infofeature, afd, fsr), or a study: its factors.")],
    factors: Annotated[
        str | None, typer.Option(help="Which factors, with commas; by default all that can be sampled together.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="Accuracy on the validation images to maximise: natural, pgd20, 'pgd(iterations=50)', ...; pgd20 by default. "
            "Several give a Pareto front."
        ),
    ] = None,
    constraint: Annotated[list[str] | None, typer.Option(help="An accuracy and its least percentage: 'natural >= 80'.")] = None,
    sampler: Annotated[SamplerName, typer.Option(help="Optuna's sampler.")] = "tpe",
    pruner: Annotated[
        PrunerName,
        typer.Option(help="Ends trainings early that do badly on the validation images; they enter no table."),
    ] = "none",
    trials: Annotated[int, typer.Option(min=1, help="Configurations to try, in addition to those in the storage.")] = 60,
    finalists: Annotated[int, typer.Option(min=0, help="How many of the best are trained for all seeds.")] = 3,
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which checkpoint of each trial counts.")] = "last",
    name: Annotated[str | None, typer.Option(help="The search's name, such as mine/wide; by default SPACE/search.")] = None,
    sampler_seed: Annotated[int, typer.Option(min=0, help="The seed of the sampler.")] = 0,
    *,
    study: StudyOptions,
    options: "Options",
    as_json: Json = False,
) -> None:
    """Search for the configurations that are most robust on held-out images, then train the best of them for all seeds.

    Nothing is trained twice: the storage's results in the space are reported to the sampler first, and parameters that it
    proposes again are not run again. To resume after a stop, or to continue with more --trials, run the same command again.
    Only the finalists are evaluated on the test set.

    Example: `advsweep search cifs --factors beta,top_k,imgf --profile demo --trials 20 --objective pgd20 --pruner asha`
    """
    from orchestrator.api import searches

    console = err if as_json else out
    chosen = SearchOptions(
        factors=None if factors is None else [part.strip() for part in factors.split(",") if part.strip()],
        objectives=objective or SearchOptions.objectives,
        constraints=constraint or [],
        sampler=sampler,
        pruner=pruner,
        trials=trials,
        finalists=finalists,
        checkpoint=checkpoint,
        name=name,
        sampler_seed=sampler_seed,
    )
    done = searches.search(space, chosen, **vars(study), options=options, observer=_Printer(console, as_json))
    if done.sweep is not None:
        print_hours(done.sweep, console)
        if not as_json:
            _print_finalists(done, study.storage)
    done.raise_for_failures()


class _Printer(Printer):
    """Prints a search's request before it starts, and its findings before the finalists are trained."""

    def __init__(self, console: Console, as_json: bool) -> None:
        super().__init__(console)
        self._as_json = as_json

    def searching(self, request: "SearchRequest") -> None:
        self.console.print(_start(request), highlight=False, markup=False)

    def found(self, search: "Search") -> None:
        from orchestrator.search.results import as_json

        if self._as_json:
            print_json(as_json(search))
        else:
            _print_findings(search)


def _start(request: "SearchRequest") -> str:
    """Describe a search in two lines: factors, sampler and pruner; objectives."""
    from orchestrator.search.factors import factor_name

    combinations = request.space.combinations
    size = "infinitely many" if combinations is None else f"{len(combinations)} in all"
    factors = ", ".join(factor_name(factor) for factor in request.space.factors)
    sampler, pruner = request.options.sampler, request.options.pruner
    how = f"sampler {sampler}" + (f", pruner {pruner}" if pruner != "none" else "")
    return (
        f"{request.name}: at most {request.options.trials} configurations of {factors} ({size}); {how}\n"
        f"to maximise on the validation images: {', '.join(request.objectives)}"
    )


def _print_finalists(done: "SearchResult", storage: str) -> None:
    from orchestrator.api.tables import build_table

    assert done.sweep is not None
    out.print("\nThe best of them, for all seeds and on the test set:\n")
    print_table(build_table(storage, done.sweep.plan.manifests[0]))
    out.print(
        f"\nMLflow's UI on these runs: advsweep ui{storage_option(storage)}; "
        f"Optuna's study {done.request.name!r}: {done.request.url}"
    )


def _print_findings(search: "Search") -> None:
    from orchestrator.search.results import findings, front, importances, unfinished
    from search_spaces.factor import SEED

    found = findings(search)
    several, drawn = len(search.objectives) > 1, any(factor.name == SEED for factor in search.space.factors)
    best = {finding.trial for finding in front(search)} if several else set()
    rows = []
    for finding in found[:SHOWN]:
        marks = (" *" if finding.trial in best else "") + ("" if finding.feasible else " (breaks a constraint)")
        values = [f"{finding.values[goal.label]:.2f}" for goal in search.goals]
        rows.append((finding.trial[:8], finding.label + marks, *values, *([str(finding.seeds)] if drawn else [])))
    of = "mean over the seeds that were drawn" if drawn else "one seed"
    out.print(f"\n{len(found)} configurations, accuracy in percent on validation images ({of}):\n", highlight=False)
    header = ("trial", "configuration", *(goal.label for goal in search.goals), *(["seeds"] if drawn else []))
    print_columns(header, rows)
    if several:
        out.print("* on the Pareto front", highlight=False, markup=False)
    if len(found) > SHOWN:
        out.print(f"... and {len(found) - SHOWN} more: --json prints them all", highlight=False)
    for label, reason in unfinished(search).items():
        out.print(f"no value: {label}: {reason}", highlight=False, markup=False)
    for objective, shares in importances(search).items():
        listed = ", ".join(f"{factor} {share:.0%}" for factor, share in shares.items())
        out.print(f"importance of factors for {objective} (PED-ANOVA): {listed}", highlight=False, markup=False)
