"""Commands that show what fills a storage, delete what is not needed, and take studies along."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal

from orchestrator.api.terms import STORAGE, storage_option
from orchestrator.cli.options import Json, Storage
from orchestrator.cli.printing import out, print_columns, print_json
from orchestrator.record.removal import Needless

if TYPE_CHECKING:
    from orchestrator.api.housekeeping import Freed, Removed

Yes = Annotated[bool, typer.Option("--yes", help="Delete; otherwise the command only says what would go.")]
Variant = Annotated[
    str | None,
    typer.Option(help="Only this variant of the studies, or a pattern such as 'demo*'; `advsweep status` lists them."),
]

#: What `advsweep gc` frees, for people.
REASONS: Mapping[str, str] = {
    Needless.ORPHANS: "trials that no study has",
    Needless.STATES: "states of finished trials",
    Needless.SUPERSEDED: "files that newer ones replace",
    Needless.TEMPORARY: "files that killed writers left",
}


def du(storage: Storage = STORAGE, as_json: Json = False) -> None:
    """Show what fills a storage: bytes by kind of file and by study, and what `advsweep gc` would free.

    A trial that several studies share counts for each; "alone" is what no other study needs.

    Example: `advsweep du --storage ./advsweep-results`
    """
    from orchestrator.api import housekeeping

    use = housekeeping.du(storage)
    if as_json:
        print_json(asdict(use))
        return
    out.print(f"{decimal(use.total)}: {_kinds(use.kinds)}", highlight=False)
    rows = []
    for row in use.studies:
        whole, alone = decimal(sum(row.bytes.values())), decimal(row.own)
        rows.append((row.study, row.variant, str(row.trials), whole, alone, _kinds(row.bytes)))
    print_columns(("study", "variant", "trials", "size", "alone", "of which"), rows)
    for reason, size in use.freeable.items():
        if size:
            out.print(f"`advsweep gc --only {reason}` frees {decimal(size)}: {REASONS[reason]}", highlight=False)


def rm(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Studies that were run here: names, aliases or patterns.")
    ] = None,
    variant: Variant = None,
    trial: Annotated[
        list[str] | None, typer.Option("--trial", metavar="KEY", help="A single trial, by its key or the beginning of it.")
    ] = None,
    storage: Storage = STORAGE,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete studies that were run, with the trials that no other study needs; or single trials. Without --yes it only shows.

    A single trial goes even if studies need it: their next run trains it again. What MLflow and Optuna keep of them in the
    storage goes too; what a server shows stays. While a run uses the storage, nothing is deleted.

    Example: `advsweep rm cifs/robustness --variant 'demo@training.epochs=2'`

    Example: `advsweep rm --trial 3f2a --yes`
    """
    from orchestrator.api import housekeeping

    found = housekeeping.rm(names or (), variant=variant, trials=trial or (), storage=storage, yes=yes)
    if as_json:
        print_json(asdict(found))
    else:
        _print_removed(found)


def gc(
    only: Annotated[
        list[Needless] | None,
        typer.Option("--only", help="Only states of finished trials, older versions, leftovers; or trials that no study has."),
    ] = None,
    storage: Storage = STORAGE,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Free what costs no number: states of finished trials, older versions, leftovers. Without --yes it only shows.

    A state is what training resumes from: one of a finished trial was left by a process that was killed at the end. Trials that
    no study has go with `--only orphans` alone: where a study's manifest was lost, its trials are among them, and its run
    brings it back. While a run uses the storage, nothing is deleted. Files that advsweep did not write stay.

    Example: `advsweep gc --only states --yes`
    """
    from orchestrator.api import housekeeping

    found = housekeeping.gc(storage, only=only or (), yes=yes)
    if as_json:
        print_json(asdict(found))
    else:
        _print_freed(found)


def export(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Studies that were run here: names, aliases or patterns.")
    ],
    to: Annotated[Path, typer.Option(help="A new folder, or a new file that ends in .zip.")],
    variant: Variant = None,
    weights: Annotated[bool, typer.Option("--weights", help="Copy the trained networks too.")] = False,
    storage: Storage = STORAGE,
) -> None:
    """Copy studies to a storage of their own, a folder or a zip file, that makes their tables and figures on any machine.

    Each file is verified as it is copied. The states that training resumes from are left out.

    Example: `advsweep export cifs/robustness --to robustness.zip`

    Example: `advsweep export 'cifs/*' --to cifs --weights`
    """
    from orchestrator.api import exports

    done = exports.export(names, to, variant=variant, weights=weights, storage=storage)
    out.print(
        f"{done.place}: {', '.join(done.studies)}: {done.trials} trials, {done.files} files, {decimal(done.size)}",
        markup=False,
        highlight=False,
    )
    folder, unzip = str(done.place), ""
    if done.place.suffix == ".zip":
        folder = done.place.stem
        unzip = f"unzip {shlex.quote(str(done.place))} -d {shlex.quote(folder)} && "
    study = done.studies[0].partition(" ")[0]
    out.print(f"Its table: {unzip}advsweep table {shlex.quote(study)}{storage_option(folder)}", markup=False, highlight=False)


def _print_removed(found: "Removed") -> None:
    goes = "deleted" if found.done else "would go"
    for study in found.studies:
        out.print(f"{goes}: {study}", markup=False, highlight=False)
    out.print(f"{goes}: {len(found.trials)} trials, {found.evaluations} evaluations, {decimal(found.size)}", highlight=False)
    for key, label in found.trials.items():
        out.print(f"  {key} {label}", markup=False, highlight=False)
    if found.shared:
        needing = ", ".join(sorted({study for studies in found.shared.values() for study in studies}))
        out.print(f"stay: {len(found.shared)} trials that other studies need: {needing}", markup=False, highlight=False)
    for study, number in found.losing.items():
        out.print(f"{study} lacks {number} trials then; its next run trains them again", markup=False, highlight=False)
    _print_end(found)


def _print_freed(found: "Freed") -> None:
    goes = "deleted" if found.done else "would go"
    for reason, size in found.size.items():
        number = len(found.trials) if reason == "orphans" else found.files[reason]
        of = f" with {found.evaluations} evaluations" if reason == "orphans" and number else ""
        out.print(f"{goes}: {number} {REASONS[reason]}{of}, {decimal(size)}", highlight=False)
    for key in found.trials:
        out.print(f"  {key}", markup=False, highlight=False)
    if found.trials:
        out.print("Where one is of a study that is not listed by `advsweep status`, the study's run brings that back.")
    if found.files.get("states"):
        out.print("Without its state nothing can go on with a finished training; it is attacked and measured as before.")
    _print_end(found)


def _print_end(found: "Removed | Freed") -> None:
    for view in found.views:
        out.print(f"still shown: {view}", markup=False, highlight=False)
    if not found.done:
        out.print("Nothing is deleted yet: the same command with --yes does it.")


def _kinds(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {decimal(size)}" for kind, size in sizes.items())
