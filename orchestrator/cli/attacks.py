"""Commands that attack what is trained: further attacks, and the checklist of obfuscated gradients."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.api.terms import storage_option
from orchestrator.cli.options import Json, Names, StudyOptions, with_options
from orchestrator.cli.printing import Printer, err, out, print_hours, print_json, print_tables
from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.api.attacks import Checked
    from orchestrator.execution.external_checkpoint import ExternalCheckpoint
    from orchestrator.execution.options import Options

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
        help="A measure of the networks, for `figure`: dimensions, 'sensitivity(attack=pgd(iterations=20))', activations, "
        "class-gradients, perturbations, t-sne, soundness.",
    ),
]


@with_options
def evaluate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Studies: names, aliases or patterns such as 'cifs/*'.")
    ] = None,
    attack: Attacks = None,
    measure: Measures = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="An external checkpoint instead of studies: safetensors, or a state dict for weights_only."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --checkpoint: resnet-18, wrn-28, vgg-16-bn, ...")] = None,
    dataset: Annotated[str, typer.Option(help="With --checkpoint: whose test set is attacked.")] = "cifar10",
    eps: Annotated[str, typer.Option(help="With --checkpoint: eps where an attack gives none, in pixels in [0, 1].")] = "8/255",
    *,
    study: StudyOptions,
    options: "Options",
) -> None:
    """Attack trained trials in further ways, each a new column of their tables, or measure them. Trains nothing.

    An attack's eps is the profile's unless it is given, its step a tenth of eps, and it aims at inserted modules in every way
    that the profile tries (beta_atk).

    With --checkpoint it attacks an external checkpoint, in this process; --set says the rest of their network, such as
    model.width=160, model.normalise=true (inputs from -1 to 1, or with model.mean=[0.49,0.48,0.45] and model.std=[0.2,0.2,0.2]
    what these make of them) or module.name=cas.

    Example: `advsweep evaluate cifs/robustness --profile demo --attack autoattack --attack "pgd(iterations=100, restarts=5)"`

    Example: `advsweep evaluate cifs/robustness --profile demo --measure "sensitivity(attack=pgd(iterations=20))"`

    Example: `advsweep evaluate --checkpoint weights.pt --model resnet-18 --attack "pgd(iterations=20)"`
    """
    from orchestrator.api import attacks

    if not attack and not measure:
        raise BadInput("--attack or --measure: give at least one")
    if (checkpoint is None) != (model is None):
        raise BadInput("--checkpoint and --model: give both or none")
    if (checkpoint is None) == (not names):
        raise BadInput("name studies to attack their trials, or give --checkpoint and --model; not both")
    if checkpoint is not None and model is not None:
        if measure:
            raise BadInput("--measure: is for trials; of weights from --checkpoint it is not made")
        found = attacks.evaluate_checkpoint(
            checkpoint,
            model,
            attacks=attack or [],
            dataset=dataset,
            eps=eps,
            settings=study.settings,
            study_files=study.study_files,
            options=options,
        )
        _print_accuracies(checkpoint, found)
        return
    assert names
    done = attacks.evaluate(
        names, attacks=attack or [], measures=measure or [], **vars(study), options=options, observer=Printer()
    )
    print_hours(done)
    print_tables(done)
    if measure:
        out.print(f"\nWhat was measured: advsweep figure {shlex.join(names)} --output FOLDER{storage_option(study.storage)}")
    done.raise_for_failures()


@with_options
def check(
    names: Names,
    *,
    study: StudyOptions,
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which checkpoint of each trial.")] = "last",
    options: "Options",
    as_json: Json = False,
) -> None:
    """Run the checklist of obfuscated gradients on trained trials: which rows may be less robust than their accuracies say?

    Rows that fail an item are marked in every table. Exit code 1 if any does.

    Example: `advsweep check cifs/robustness --profile demo`
    """
    from orchestrator.api import attacks

    console = err if as_json else out
    checked = attacks.check(names, checkpoint=checkpoint, **vars(study), options=options, observer=Printer(console))
    print_hours(checked.sweep, console)
    (_print_checks_json if as_json else _print_checks)(checked)
    checked.raise_for_failures()


def _print_accuracies(checkpoint: Path, found: "ExternalCheckpoint") -> None:
    out.print(f"{checkpoint}: {found.description}", highlight=False)
    for label, accuracy, examples in found.accuracies():
        out.print(f"{accuracy:7.2f} %  {label}  ({examples:,} examples)", highlight=False)


def _print_checks_json(checked: "Checked") -> None:
    print_json(
        {
            study: [{"arm": list(arm), "items": [vars(item) for item in items]} for arm, items in arms.items()]
            for study, arms in checked.items.items()
        }
    )


def _print_checks(checked: "Checked") -> None:
    signs = {"passed": "[green]passed [/green]", "failed": "[red]failed [/red]", "not run": "[dim]not run[/dim]"}
    for study, arms in checked.items.items():
        for labels, items in arms.items():
            out.print(f"\n[bold]{study} {' '.join(labels)}[/bold]", highlight=False)
            for item in items:
                figures = f": {item.figures}" if item.figures else ""
                out.print(f"  {signs[item.status]}  {item.name}{figures}", highlight=False)
