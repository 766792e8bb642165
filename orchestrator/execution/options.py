"""How a sweep runs; never a part of what it makes. Imports no ray, so that a command line is read at once."""

from dataclasses import dataclass

from trainables.config import Runtime


@dataclass(frozen=True)
class Options:
    """How a sweep runs: resources of a trial (None: chosen from the cluster), cluster, data, and its views.

    ``tracking``: whether MLflow and Optuna are told. ``optuna``: where Optuna's studies are; None for beside the record.
    """

    cpus: float | None
    gpus: float | None
    concurrent: int | None
    address: str | None
    runtime: Runtime
    tracking: bool
    optuna: str | None = None
