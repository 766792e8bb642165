"""Commands that attack what is trained: further attacks, and the checklist of obfuscated gradients."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from orchestrator.cli.options import (
    STORAGE,
    Address,
    Compile,
    CpusPerTrial,
    DataDir,
    Download,
    GpusPerTrial,
    Json,
    Layout,
    MaxConcurrent,
    Names,
    NoTracking,
    ProfileOption,
    RetryFailed,
    Seeds,
    Set,
    Storage,
    err,
    out,
    print_json,
    sweep_options,
)
from orchestrator.cli.sweeps import make_plan, run_plan, tell_failures
from orchestrator.cli.tables import print_table
from orchestrator.errors import BadInput, CheckFailed

Attacks = Annotated[
    list[str],
    typer.Option(
        "--attack", metavar="ATTACK", help="A name, or a name and fields: autoattack, 'pgd(iterations=100, restarts=5)'."
    ),
]


def evaluate(
    attack: Attacks,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Studies: names, aliases or patterns such as 'cifs/*'.")
    ] = None,
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
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
    cpus_per_trial: CpusPerTrial = None,
    gpus_per_trial: GpusPerTrial = None,
    max_concurrent: MaxConcurrent = None,
    address: Address = None,
    data_dir: DataDir = "data",
    download: Download = False,
    layout: Layout = "auto",
    compiled: Compile = False,
    no_tracking: NoTracking = False,
) -> None:
    """Attack trained trials in further ways, each a new column of their tables. Trains nothing.

    An attack's eps is the profile's unless it is given, its step a tenth of eps, and it aims at inserted modules in every way
    that the profile tries (beta_atk).

    With --checkpoint it attacks weights from elsewhere, here and now; --set says the rest of their network, such as
    model.width=160, model.normalise=true (inputs from -1 to 1) or module.name=cas.

    Example: `advsweep evaluate cifs/robustness --profile demo --attack autoattack --attack "pgd(iterations=100, restarts=5)"`

    Example: `advsweep evaluate --checkpoint weights.pt --model resnet-18 --attack "pgd(iterations=20)"`
    """
    from orchestrator.attack_text import column

    if (checkpoint is None) != (model is None):
        raise BadInput("--checkpoint and --model: give both or none")
    if (checkpoint is None) == (not names):
        raise BadInput("name studies to attack their trials, or give --checkpoint and --model; not both")
    if checkpoint is not None and model is not None:
        _attack_weights(checkpoint, model, dataset, eps, attack, settings, data_dir, download)
        return
    assert names
    columns = tuple({c.label: c for c in map(column, attack)}.values())
    made, store = make_plan(names, profile, seeds, settings, storage, retry_failed=retry_failed, added=columns, train=False)
    _tell_untrained(made, storage)
    options = sweep_options(
        cpus_per_trial, gpus_per_trial, max_concurrent, address, data_dir, download, layout, compiled, no_tracking
    )
    failures = run_plan(made, store, options, storage)
    for manifest in made.manifests:
        out.print()
        print_table(storage, manifest, "both", "minimum")
    tell_failures(made, failures)


def check(
    names: Names,
    profile: ProfileOption = "paper",
    seeds: Seeds = None,
    settings: Set = None,
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which checkpoint of each trial.")] = "last",
    storage: Storage = STORAGE,
    retry_failed: RetryFailed = False,
    cpus_per_trial: CpusPerTrial = None,
    gpus_per_trial: GpusPerTrial = None,
    max_concurrent: MaxConcurrent = None,
    address: Address = None,
    data_dir: DataDir = "data",
    download: Download = False,
    layout: Layout = "auto",
    compiled: Compile = False,
    no_tracking: NoTracking = False,
    as_json: Json = False,
) -> None:
    """Run the checklist of obfuscated gradients on trained trials: which rows look more robust than they are?

    Rows that fail an item are marked in every table. Exit code 1 if any does.

    Example: `advsweep check cifs/robustness --profile demo`
    """
    from analysis.checks import failures as failed_items
    from search_spaces.checklist import CHECKLIST

    made, store = make_plan(
        names,
        profile,
        seeds,
        settings,
        storage,
        retry_failed=retry_failed,
        added=CHECKLIST,
        shown=False,
        checkpoints=(checkpoint,),
        train=False,
    )
    _tell_untrained(made, storage, err if as_json else out)
    options = sweep_options(
        cpus_per_trial, gpus_per_trial, max_concurrent, address, data_dir, download, layout, compiled, no_tracking
    )
    reasons = run_plan(made, store, options, storage, err if as_json else out)
    found = {manifest.study: _checked(storage, manifest, checkpoint) for manifest in made.manifests}
    if as_json:
        print_json(
            {
                study: [{"arm": list(arm), "items": [vars(i) for i in items]} for arm, items in arms.items()]
                for study, arms in found.items()
            }
        )
    else:
        for study, arms in found.items():
            _print_checks(study, arms)
    tell_failures(made, reasons)
    doubtful = [
        f"{study} {' '.join(arm)}" for study, arms in found.items() for arm, items in arms.items() if failed_items(items)
    ]
    if doubtful:
        raise CheckFailed(f"{len(doubtful)} rows fail a check: {', '.join(doubtful)}")


def _attack_weights(
    checkpoint: Path,
    model: str,
    dataset: str,
    eps: str,
    attacks: Sequence[str],
    settings: Sequence[str] | None,
    data_dir: str,
    download: bool,
) -> None:
    from orchestrator.attack_text import number
    from orchestrator.elsewhere import Elsewhere

    brought = Elsewhere(checkpoint, model, dataset, settings or [], str(Path(data_dir).expanduser().resolve()), download)
    out.print(f"{checkpoint}: {brought.description}", highlight=False)
    for label, accuracy, examples in brought.accuracies(attacks, number("--eps", eps)):
        out.print(f"{accuracy:7.2f} %  {label}  ({examples:,} examples)", highlight=False)


def _tell_untrained(made: Any, storage: str, console: Console = out) -> None:
    """Say how many trials are left out, and refuse to do nothing."""
    missing = made.untrained
    if len(missing) == len(made.trials):
        raise BadInput(f"none of the {len(made.trials)} trials is trained in --storage {storage!r}; `advsweep run` trains them")
    if missing:
        console.print(f"{len(missing)} of {len(made.trials)} trials are not trained and left out ({missing[0].label}, ...)")


def _checked(storage: str, manifest: Any, checkpoint: str) -> Any:
    from analysis.checks import check as examine
    from analysis.load import load

    return examine(load(storage, manifest.trials), manifest, checkpoint)


def _print_checks(study: str, arms: Any) -> None:
    signs = {"passed": "[green]passed [/green]", "failed": "[red]failed [/red]", "not run": "[dim]not run[/dim]"}
    for labels, items in arms.items():
        out.print(f"\n[bold]{study} {' '.join(labels)}[/bold]", highlight=False)
        for item in items:
            figures = f": {item.figures}" if item.figures else ""
            out.print(f"  {signs[item.status]}  {item.name}{figures}", highlight=False)
