"""What the views show of studies. Imports neither MLflow nor Optuna."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_tables import Tables
    from orchestrator.tracking.optuna_view import NumbersOf


class Shown(NamedTuple):
    """What the views show of studies: rendered ``tables`` for MLflow, and the ``numbers`` of tables for Optuna."""

    tables: "Tables"
    numbers: "NumbersOf"
