"""Commands that show results: tables, and the data of figures."""

import re
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.api.terms import STORAGE
from orchestrator.cli.options import Name, NewestProfile, RunSettings, Storage, Variant
from orchestrator.cli.printing import out, print_table
from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from analysis.tables import Table

#: Seconds between two looks at a table that is watched.
WATCH_SECONDS = 5.0


def table(
    name: Name,
    checkpoint: Annotated[Literal["best", "last", "both"], typer.Option(help="Which checkpoint of each trial.")] = "both",
    form: Annotated[Literal["text", "md", "latex", "csv", "html"], typer.Option("--format", help="How to write it.")] = "text",
    output: Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")] = None,
    over_beta: Annotated[
        Literal["minimum", "per-sample", "each"],
        typer.Option(help="Reduce over beta_atk by the minimum of the accuracies or the per-sample worst case, or not (each)."),
    ] = "minimum",
    counting: Annotated[
        Literal["paper", "any"],
        typer.Option(
            help="Beside a paper's numbers, count by the last iterate as the paper does, or by any as everywhere else."
        ),
    ] = "paper",
    profile: NewestProfile = None,
    settings: RunSettings = None,
    variant: Variant = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Print it again whenever it has grown, until it is complete or Ctrl-C.")
    ] = False,
    storage: Storage = STORAGE,
) -> None:
    """Print the table of a study that was run, from the storage.

    Example: `advsweep table cifs/robustness --format latex --output table.tex`

    Example: `advsweep table cifs/robustness --set training.lr=0.05 --watch`
    """
    from orchestrator.api import tables

    chosen = _parsed(settings)
    make = partial(
        tables.tables,
        name,
        checkpoint=checkpoint,
        over_beta=over_beta,
        counting=counting,
        profile=profile,
        settings=chosen,
        variant=variant,
        storage=storage,
    )
    made = make()
    _show(made, form, output)
    while watch and not all(each.complete for each in made):
        try:
            time.sleep(WATCH_SECONDS)
        except KeyboardInterrupt:
            return
        if (later := make()) != made:
            made = later
            _show(made, form, output)


def _show(made: "list[Table]", form: str, output: Path | None) -> None:
    """Print tables, or write them to a file."""
    from orchestrator.api import tables

    if form == "text" and output is None:
        for each in made:
            print_table(each)
        return
    text = "\n".join(tables.render(each, form) for each in made)
    if output is None:
        sys.stdout.write(text + "\n")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(output, error) from error


def _parsed(settings: list[str] | None) -> dict[str, Any] | None:
    """Parse settings as ``run`` does; None for none."""
    from orchestrator.planning.settings import parse

    return parse(settings) if settings else None


def figure(
    name: Name,
    output: Annotated[
        Path | None, typer.Option(help="Folder for a CSV file of each frame; by default they are listed.")
    ] = None,
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which checkpoint of each trial.")] = "last",
    profile: NewestProfile = None,
    settings: RunSettings = None,
    variant: Variant = None,
    storage: Storage = STORAGE,
) -> None:
    """Write the data of a study's figure as CSV: curves by epoch, steps and eps, and the arrays of its measures.

    Example: `advsweep figure cifs/figure-4 --output figures`
    """
    from orchestrator.api import tables

    chosen = _parsed(settings)
    made = tables.figures(name, checkpoint=checkpoint, profile=profile, settings=chosen, variant=variant, storage=storage)
    for study, found in made.items():
        if not found:
            out.print(f"{study}: no data for a figure, only for a table: `advsweep table {study}`")
        for title, frame in found.items():
            where = f"{study}, {title}: {len(frame):,} values"
            if output is not None:
                file = output / f"{slug(study)}-{slug(title)}.csv"
                try:
                    output.mkdir(parents=True, exist_ok=True)
                    frame.to_csv(file, index=False)
                except OSError as error:
                    raise _unwritable(output, error) from error
                where += f" in {file}"
            out.print(where, markup=False, highlight=False)


def slug(text: str) -> str:
    """Make the name of a file from a title."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _unwritable(output: Path, error: OSError) -> BadInput:
    return BadInput(f"--output {str(output)!r} cannot be written: {error.strerror}")
