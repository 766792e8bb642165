"""Tables from the storage to the terminal, to files, to MLflow and to Optuna."""

import sys
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from rich.console import Console

from orchestrator.cli.options import out
from orchestrator.errors import Unavailable

if TYPE_CHECKING:
    from analysis.schema import Manifest
    from analysis.tables import Checkpoint, OverBeta, Table
    from orchestrator.execution.sweep import Shown
    from orchestrator.tracking.mlflow_view import Tables
    from orchestrator.tracking.optuna_view import Numbers, NumbersOf


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

    def files(manifest: "Manifest") -> dict[str, str]:
        made = build_table(storage, manifest, "both", "minimum")
        return {name: render(made, form) for form, name in names.items()}

    return files


def numbers_of(storage: str) -> "NumbersOf":
    """How Optuna gets the numbers of tables: a function from trials to what they have in the record."""

    def numbers(trials: Collection[str]) -> "Numbers":
        from analysis.cells import CellReader
        from analysis.load import load

        return CellReader(load(storage, trials), per_sample=False)

    return numbers


def shown_of(storage: str) -> "Shown":
    """What views show of studies."""
    from orchestrator.execution.sweep import Shown

    return Shown(tables_of(storage), numbers_of(storage))


def render(table: "Table", form: str) -> str:
    """A table as ``text``, ``md``, ``latex``, ``csv`` or ``html``."""
    from analysis import render as formats

    write: dict[str, Callable[[Table], str]] = {
        "text": formats.to_text,
        "md": formats.to_markdown,
        "latex": formats.to_latex,
        "csv": formats.to_csv,
        "html": formats.to_html,
    }
    return write[form](table)
