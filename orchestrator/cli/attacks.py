"""Commands that attack what is trained: further attacks, and the checklist of obfuscated gradients."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from orchestrator.cli.options import (
    STORAGE,
    Json,
    Names,
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
from orchestrator.cli.tables import print_table
from orchestrator.errors import BadInput, CheckFailed

if TYPE_CHECKING:
    from analysis.checks import Item
    from orchestrator.execution.options import Options
    from orchestrator.planning.plan import Plan
    from search_spaces.column import Column
    from trainables.config import Runtime

Attacks = Annotated[
    list[str] | None,
    typer.Option(
        "--attack", metavar="ATTACK", help="A name, or a name and fields: autoattack, 'pgd(iterations=100, restarts=5)'."
    ),
]
Measures = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        metavar="MEASURE",
        help="A look at the networks, for `figure`: dimensions, 'sensitivity(attack=pgd(iterations=20))', activations, "
        "class-gradients, perturbations, t-sne, soundness.",
    ),
]

#: The checklist by study and by the labels of an arm.
_Checks = dict[str, dict[tuple[str, ...], tuple["Item", ...]]]


@with_sweep_options
def evaluate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Studies: names, aliases or patterns such as 'cifs/*'.")
    ] = None,
    attack: Attacks = None,
    measure: Measures = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Weights from elsewhere instead of studies: safetensors, or a state dict for weights_only."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --checkpoint: resnet-18, wrn-28, vgg-16-bn, ...")] = None,
    dataset: Annotated[str, typer.Option(help="With --checkpoint: whose test set is attacked.")] = "cifar10",
    eps: Annotated[str, typer.Option(help="With --checkpoint: eps where an attack gives none, in pixels in [0, 1].")] = "8/255",
    profile: ProfileOption = "paper",
    seeds: Seeds = None,
    settings: Set = None,
    study_file: StudyFiles = None,
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
    *,
    options: "Options",
) -> None:
    """Attack trained trials in further ways, each a new column of their tables, or measure them. Trains nothing.

    An attack's eps is the profile's unless it is given, its step a tenth of eps, and it aims at inserted modules in every way
    that the profile tries (beta_atk).

    With --checkpoint it attacks weights from elsewhere, here and now; --set says the rest of their network, such as
    model.width=160, model.normalise=true (inputs from -1 to 1, or with model.mean=[0.49,0.48,0.45] and model.std=[0.2,0.2,0.2]
    what these make of them) or module.name=cas.

    Example: `advsweep evaluate cifs/robustness --profile demo --attack autoattack --attack "pgd(iterations=100, restarts=5)"`

    Example: `advsweep evaluate cifs/robustness --profile demo --measure "sensitivity(attack=pgd(iterations=20))"`

    Example: `advsweep evaluate --checkpoint weights.pt --model resnet-18 --attack "pgd(iterations=20)"`
    """
    from orchestrator.authoring.attack_text import column, number, picture

    if not attack and not measure:
        raise BadInput("--attack or --measure: give at least one")
    if (checkpoint is None) != (model is None):
        raise BadInput("--checkpoint and --model: give both or none")
    if (checkpoint is None) == (not names):
        raise BadInput("name studies to attack their trials, or give --checkpoint and --model; not both")
    columns = tuple({c.label: c for c in map(column, attack or [])}.values())
    pictures = tuple(map(picture, measure or []))
    if checkpoint is not None and model is not None:
        if pictures:
            raise BadInput("--measure: is for trials; of weights from --checkpoint it is not made")
        find_studies([], study_file)
        _attack_weights(checkpoint, model, dataset, columns, number("--eps", eps), settings, options.runtime)
        return
    assert names
    more: dict[str, Any] = {"added": columns, "measures": pictures, "train": False}
    made, store = make_plan(
        find_studies(names, study_file), profile, seeds, settings, storage, retry_failed=retry_failed, **more
    )
    _tell_untrained(made, storage)
    outcome = run_plan(made, store, options, storage)
    for manifest in made.manifests:
        out.print()
        print_table(storage, manifest, "both", "minimum")
    if pictures:
        out.print(f"\nWhat was measured: advsweep figure {shlex.join(names)} --output FOLDER{storage_option(storage)}")
    tell_failures(made, outcome)


@with_sweep_options
def check(
    names: Names,
    profile: ProfileOption = "paper",
    seeds: Seeds = None,
    settings: Set = None,
    study_file: StudyFiles = None,
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which checkpoint of each trial.")] = "last",
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
    *,
    options: "Options",
    as_json: Json = False,
) -> None:
    """Run the checklist of obfuscated gradients on trained trials: which rows look more robust than they are?

    Rows that fail an item are marked in every table. Exit code 1 if any does.

    Example: `advsweep check cifs/robustness --profile demo`
    """
    from orchestrator.planning.baseline import from_baseline
    from search_spaces.checklist import CHECKLIST, MEASURES, TRANSFERRED

    console = err if as_json else out
    studies = find_studies(names, study_file)
    made, store = make_plan(
        studies,
        profile,
        seeds,
        settings,
        storage,
        retry_failed=retry_failed,
        added=CHECKLIST,
        shown=False,
        measures=MEASURES,
        checkpoints=(checkpoint,),
        train=False,
    )
    made = from_baseline(made, studies, TRANSFERRED, checkpoint)
    _tell_untrained(made, storage, console)
    outcome = run_plan(made, store, options, storage, console)
    found = _checked(made, storage, checkpoint)
    (_print_checks_json if as_json else _print_checks)(found)
    tell_failures(made, outcome)
    _tell_doubtful(found)


def _attack_weights(
    checkpoint: Path,
    model: str,
    dataset: str,
    columns: Sequence["Column"],
    eps: float,
    settings: Sequence[str] | None,
    runtime: "Runtime",
) -> None:
    from orchestrator.execution.external_checkpoint import Elsewhere

    brought = Elsewhere(checkpoint, model, dataset, columns, eps, settings or [], runtime)
    out.print(f"{checkpoint}: {brought.description}", highlight=False)
    for label, accuracy, examples in brought.accuracies():
        out.print(f"{accuracy:7.2f} %  {label}  ({examples:,} examples)", highlight=False)


def _tell_untrained(made: "Plan", storage: str, console: Console = out) -> None:
    """Say how many trials are left out, and refuse to do nothing."""
    missing = made.untrained
    if len(missing) == len(made.trials):
        raise BadInput(f"none of the {len(made.trials)} trials is trained in --storage {storage!r}; `advsweep run` trains them")
    if missing:
        console.print(f"{len(missing)} of {len(made.trials)} trials are not trained and left out ({missing[0].label}, ...)")


def _checked(made: "Plan", storage: str, checkpoint: str) -> _Checks:
    from analysis.checks import check as examine
    from analysis.load import load

    return {m.study: examine(load(storage, m.trials), m, checkpoint) for m in made.manifests}


def _print_checks_json(found: _Checks) -> None:
    print_json(
        {
            study: [{"arm": list(arm), "items": [vars(item) for item in items]} for arm, items in arms.items()]
            for study, arms in found.items()
        }
    )


def _print_checks(found: _Checks) -> None:
    signs = {"passed": "[green]passed [/green]", "failed": "[red]failed [/red]", "not run": "[dim]not run[/dim]"}
    for study, arms in found.items():
        for labels, items in arms.items():
            out.print(f"\n[bold]{study} {' '.join(labels)}[/bold]", highlight=False)
            for item in items:
                figures = f": {item.figures}" if item.figures else ""
                out.print(f"  {signs[item.status]}  {item.name}{figures}", highlight=False)


def _tell_doubtful(found: _Checks) -> None:
    """End with an error if an item failed in any row."""
    from analysis.checks import failures

    doubtful = [f"{study} {' '.join(arm)}" for study, arms in found.items() for arm, items in arms.items() if failures(items)]
    if doubtful:
        raise CheckFailed(f"{len(doubtful)} rows fail a check: {', '.join(doubtful)}")
