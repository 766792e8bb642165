"""The command that searches: configurations drawn by Optuna, trained by Ray Tune, the best of them for all seeds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table as RichTable

from orchestrator.cli.options import (
    STORAGE,
    Json,
    ProfileOption,
    RetryFailed,
    Seeds,
    Set,
    Storage,
    StudyFiles,
    err,
    find_studies,
    out,
    print_json,
    storage_option,
    with_sweep_options,
)
from orchestrator.cli.sweeps import make_plan, run_plan, tell_failures
from orchestrator.cli.tables import print_table, shown_of
from orchestrator.errors import BadInput, Interrupted, SweepIncomplete

if TYPE_CHECKING:
    from orchestrator.execution.options import Options
    from orchestrator.search.loop import Search
    from orchestrator.search.space import Cells
    from search_spaces.space import Space

#: Lines that fit a screen.
SHOWN = 20


@with_sweep_options
def search(
    space: Annotated[str, typer.Argument(help="A paper (cas, cifs, infofeature, afd, fsr), or a study: its factors.")],
    factors: Annotated[
        str | None, typer.Option(help="Which factors, with commas; by default all that can be drawn together.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="Accuracy on the validation images to maximise: natural, pgd20, 'pgd(iterations=50)', ...; pgd20 by default. "
            "Of several, the Pareto front is looked for."
        ),
    ] = None,
    constraint: Annotated[list[str] | None, typer.Option(help="An accuracy and its least percentage: 'natural >= 80'.")] = None,
    sampler: Annotated[Literal["tpe", "gp", "cmaes", "nsga2", "random", "qmc"], typer.Option(help="Optuna's sampler.")] = "tpe",
    pruner: Annotated[
        Literal["none", "asha", "hyperband", "median"],
        typer.Option(help="Ends trainings early that do badly on the validation images; they enter no table."),
    ] = "none",
    trials: Annotated[int, typer.Option(min=1, help="Configurations to look at, beside those that the storage knows.")] = 60,
    finalists: Annotated[int, typer.Option(min=0, help="How many of the best are trained for all seeds.")] = 3,
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which checkpoint of each trial counts.")] = "last",
    name: Annotated[str | None, typer.Option(help="Of the search, as a study's: mine/wide; by default SPACE/search.")] = None,
    sampler_seed: Annotated[int, typer.Option(min=0, help="Of the sampler's own chance.")] = 0,
    profile: ProfileOption = "paper",
    seeds: Seeds = None,
    settings: Set = None,
    study_file: StudyFiles = None,
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
    *,
    options: "Options",
    as_json: Json = False,
) -> None:
    """Look for the configurations that are most robust on held-out images, then train the best of them for all seeds.

    Nothing is trained twice: what the storage knows of the space is told to the sampler first, and a configuration that is
    drawn again is not run again. To go on after any stop, or with more --trials, run the same command again. The test set is
    looked at for the finalists alone.

    Example: `advsweep search cifs --factors beta,top_k,imgf --profile demo --trials 20 --objective pgd20 --pruner asha`
    """
    from orchestrator.authoring.study_files import check_name
    from orchestrator.planning.settings import parse
    from orchestrator.record.store import Store
    from orchestrator.search.goals import goals
    from orchestrator.search.loop import Search, did_badly
    from orchestrator.search.results import as_json as everything
    from orchestrator.search.results import as_study, chosen, define, manifest
    from orchestrator.search.results import finalists as best_of
    from orchestrator.search.samplers import open_study
    from orchestrator.search.space import Cells
    from orchestrator.tracking.optuna_storage import default_url, open_storage

    console = err if as_json else out
    wanted = goals(objective or ["pgd20"], constraint or [])
    objectives = [goal.label for goal in wanted if goal.bound is None]
    if len(objectives) > 1:
        _check_several(sampler, pruner)
    within = _space(space, study_file)
    if profile not in within.profiles:
        raise BadInput(f"--profile {profile!r}: allowed for {within.name}: {', '.join(within.profiles)}")
    overrides = parse(settings or [])
    names = None if factors is None else [part.strip() for part in factors.split(",") if part.strip()]
    cells = Cells(within, within.profiles[profile], names, overrides)
    config = cells.config(cells.samples[0])
    if not config.data.validation:
        raise BadInput("data.validation = 0: must be > 0, for a search chooses by held-out images")
    called = name or (f"{within.name}-search" if "/" in within.name else f"{within.name}/search")
    check_name(called)
    store = Store(storage)
    url = options.optuna or default_url(store)
    if url is None:
        raise BadInput(f"--optuna: must be given with --storage {storage!r}, where no journal can be kept: a database's URL")

    # Every label of the factors, and the objectives' attacks: what is wrong with them is told before a cluster is started.
    samples, _ = make_plan([as_study(called, cells, cells.samples, wanted, checkpoint)], profile, 1, settings, storage)

    def begin() -> Search:
        study = open_study(open_storage(url), called, objectives, sampler, pruner, config.training.epochs, sampler_seed)
        define(study, cells, wanted, checkpoint, overrides)
        return Search(study, cells, wanted, checkpoint, store, trials, sampler_seed, retry_failed)

    console.print(_start(called, cells, objectives, sampler, pruner, trials), highlight=False, markup=False)
    try:
        from orchestrator.execution import sweep

        made, outcome = sweep.search(
            begin,
            lambda search: manifest(search, profile, seeds, overrides),
            samples,
            store,
            options,
            shown_of(storage),
            console,
        )
    except KeyboardInterrupt:
        raise Interrupted from None
    if as_json:
        print_json(everything(made))
    else:
        _print_findings(made)
    lost = [end.reason for end in outcome.failures.values() if not did_badly(end.ending)]
    best = chosen(made)[:finalists]
    if finalists and not best:
        raise SweepIncomplete(_nothing_found(made))
    if best:
        plan, store = make_plan([best_of(made, best)], profile, seeds, settings, storage, retry_failed=retry_failed)
        outcome = run_plan(plan, store, options, storage, console)
        if not as_json:
            out.print("\nThe best of them, for all seeds and on the test set:\n")
            print_table(storage, plan.manifests[0], "both", "minimum")
            out.print(f"\nMLflow's UI on these runs: advsweep ui{storage_option(storage)}; Optuna's study {called!r}: {url}")
        tell_failures(plan, outcome)
    if lost:
        raise SweepIncomplete(f"{len(lost)} configurations failed ({lost[0]}); take them up again with --retry-failed")


def _check_several(sampler: str, pruner: str) -> None:
    """What knows one objective only has no place where there are several."""
    if pruner != "none":
        raise BadInput(f"--pruner {pruner}: must be none with several objectives, of which no one says what does badly")
    if sampler == "cmaes":
        raise BadInput("--sampler cmaes: knows one objective only; allowed with several: tpe, gp, nsga2, random, qmc")


def _space(name: str, files: "list[Path] | None") -> "Space":
    """A paper's space, or that of one study's factors."""
    from search_spaces.catalog import SPACES
    from search_spaces.space import Space

    if "/" not in name and name not in SPACES:
        raise BadInput(f"{name!r}: there is no such space; allowed: {', '.join(SPACES)}, or a study such as cifs/beta")
    found = find_studies([] if name in SPACES else [name], files)
    if name in SPACES:
        return SPACES[name]
    if len(found) > 1:
        raise BadInput(f"{name!r}: must be one study, and is {len(found)}: {', '.join(study.name for study in found)}")
    return Space.of(found[0])


def _nothing_found(search: "Search") -> str:
    from orchestrator.search.results import findings, unfinished

    if findings(search):
        return "no configuration keeps to the constraints; lower them, or look at more with --trials"
    reasons = list(unfinished(search).items())
    why = f" ({reasons[0][0]}: {reasons[0][1]})" if reasons else ""
    return f"no configuration has a value{why}; take failed ones up again with --retry-failed"


def _start(name: str, cells: "Cells", objectives: list[str], sampler: str, pruner: str, trials: int) -> str:
    """What is looked for, and where, in two lines."""
    from orchestrator.search.space import factor_name

    size = "endless" if cells.every is None else f"{len(cells.every)} cells"
    factors = ", ".join(factor_name(factor) for factor in cells.factors)
    how = f"sampler {sampler}" + (f", pruner {pruner}" if pruner != "none" else "")
    return (
        f"{name}: at most {trials} configurations of {factors} ({size}); {how}\n"
        f"to maximise on the validation images: {', '.join(objectives)}"
    )


def _print_findings(search: "Search") -> None:
    from orchestrator.search.results import findings, front, importances, unfinished

    found = findings(search)
    several = len(search.objectives) > 1
    best = {finding.trial for finding in front(search)} if several else set()
    table = RichTable("trial", "configuration", *(goal.label for goal in search.goals), box=None, pad_edge=False)
    for finding in found[:SHOWN]:
        marks = (" *" if finding.trial in best else "") + ("" if finding.feasible else " (breaks a constraint)")
        table.add_row(finding.trial[:8], finding.label + marks, *(f"{finding.values[g.label]:.2f}" for g in search.goals))
    out.print(f"\n{len(found)} configurations, accuracy in percent on validation images (seed 0):\n", highlight=False)
    Console().print(table)
    if several:
        out.print("* on the Pareto front", highlight=False, markup=False)
    if len(found) > SHOWN:
        out.print(f"... and {len(found) - SHOWN} more: --json prints them all", highlight=False)
    for label, reason in unfinished(search).items():
        out.print(f"no value: {label}: {reason}", highlight=False, markup=False)
    for objective, shares in importances(search).items():
        told = ", ".join(f"{factor} {share:.0%}" for factor, share in shares.items())
        out.print(f"what {objective} depends on (PED-ANOVA): {told}", highlight=False, markup=False)
