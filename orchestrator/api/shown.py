"""Tables and their numbers for MLflow and Optuna."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from orchestrator.execution.upkeep.shown import Shown

if TYPE_CHECKING:
    from analysis.record.manifest import Manifest
    from orchestrator.tracking.mlflow_tables import Tables
    from orchestrator.tracking.optuna_view import Numbers, NumbersOf

#: The files of a table in MLflow, by format.
FILES = {"html": "table.html", "md": "table.md", "latex": "table.tex", "csv": "table.csv"}


def shown_of(storage: str) -> Shown:
    """Return the functions by which MLflow and Optuna get the tables and numbers of a storage's studies."""
    return Shown(tables_of(storage), numbers_of(storage))


def tables_of(storage: str) -> "Tables":
    """Return a function that renders a study's table for MLflow: from its manifest to the texts of files, by name."""
    from orchestrator.api.tables import build_table, render

    def files(manifest: "Manifest") -> dict[str, str]:
        made = build_table(storage, manifest)
        return {name: render(made, form) for form, name in FILES.items()}

    return files


def numbers_of(storage: str) -> "NumbersOf":
    """Return a function that reads the numbers of tables for Optuna: from keys of trials to a reader of their cells."""

    def numbers(trials: Collection[str]) -> "Numbers":
        from analysis.cells import CellReader
        from analysis.record.load import load

        return CellReader(load(storage, trials), per_sample=False)

    return numbers
