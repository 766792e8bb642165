"""Tables from the storage to the terminal, to files, to MLflow and to Optuna."""

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.console import Console

from orchestrator.cli.options import out
from orchestrator.errors import Unavailable

if TYPE_CHECKING:
    from analysis.schema import Manifest
    from analysis.tables import Checkpoint, OverBeta, Table
    from orchestrator.optuna_view import Numbers, NumbersOf
    from orchestrator.sweep import Shown
    from orchestrator.tracking import Tables


def build_table(storage: str, manifest: "Manifest", checkpoint: "Checkpoint", over_beta: "OverBeta") -> "Table":
    """The study's table as data."""
    from analysis.load import BrokenRecordError, load
    from analysis.tables import build

    try:
        return build(load(storage, manifest.trials), manifest, checkpoint=checkpoint, over_beta=over_beta)
    except BrokenRecordError as error:
        raise Unavailable(str(error)) from error


def print_table(storage: str, manifest: "Manifest", checkpoint: "Checkpoint", over_beta: "OverBeta") -> None:
    """To the terminal, or as plain lines where there is none."""
    from analysis.render import to_rich, to_text

    made = build_table(storage, manifest, checkpoint, over_beta)
    if out.is_terminal:
        Console().print(to_rich(made))
    else:
        sys.stdout.write(to_text(made))


def tables_of(storage: str) -> "Tables":
    """How MLflow gets a study's table: a function from its manifest to files."""
    names = {"html": "table.html", "md": "table.md", "latex": "table.tex", "csv": "table.csv"}
    return lambda manifest: {names[f]: t for f, t in render(storage, manifest, "both", "minimum").items() if f in names}


def numbers_of(storage: str) -> "NumbersOf":
    """How Optuna gets the numbers of tables: a function from trials to what they have in the record."""

    def numbers(trials: Collection[str]) -> "Numbers":
        from analysis.cells import Cells
        from analysis.load import load

        return Cells(load(storage, trials), per_sample=False)

    return numbers


def shown_of(storage: str) -> "Shown":
    """What views show of studies."""
    from orchestrator.sweep import Shown

    return Shown(tables_of(storage), numbers_of(storage))


def render(storage: str, manifest: "Manifest", checkpoint: "Checkpoint", over_beta: "OverBeta") -> dict[str, str]:
    """The table in every format."""
    from analysis import render as formats

    made = build_table(storage, manifest, checkpoint, over_beta)
    return {
        "text": formats.to_text(made),
        "md": formats.to_markdown(made),
        "latex": formats.to_latex(made),
        "csv": formats.to_csv(made),
        "html": formats.to_html(made),
    }
