"""What MLflow and Optuna show of studies: their tables as files, and the numbers of tables."""

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.manifest import Manifest
    from orchestrator.execution.sweep import Shown
    from orchestrator.tracking.mlflow_view import Tables
    from orchestrator.tracking.optuna_view import Numbers, NumbersOf

#: The formats of a table in MLflow, and their files.
FILES = {"html": "table.html", "md": "table.md", "latex": "table.tex", "csv": "table.csv"}


def shown_of(storage: str) -> "Shown":
    """Return what the views show of the studies of a storage."""
    from orchestrator.execution.sweep import Shown

    return Shown(tables_of(storage), numbers_of(storage))


def tables_of(storage: str) -> "Tables":
    """Return the function by which MLflow gets a study's table: from its manifest to files."""
    from orchestrator.api.tables import build_table, render

    def files(manifest: "Manifest") -> dict[str, str]:
        made = build_table(storage, manifest)
        return {name: render(made, form) for form, name in FILES.items()}

    return files


def numbers_of(storage: str) -> "NumbersOf":
    """Return the function by which Optuna gets the numbers of tables: from trials to what the record holds of them."""

    def numbers(trials: Collection[str]) -> "Numbers":
        from analysis.cells import CellReader
        from analysis.load import load

        return CellReader(load(storage, trials), per_sample=False)

    return numbers
