"""How a sweep runs; never a part of what it makes. Imports no ray, so that a command line is read at once."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from trainables.config import Runtime


@dataclass(frozen=True)
class Options:
    """How a sweep runs: resources of a trial, cluster, data, and views of the record.

    ``cpus``, ``gpus``: of one trial, fractions too; None for 1 CPU, and 1 GPU where the cluster has any. ``concurrent``: trials
    at once; None for as many as fit. ``address``: of a running Ray cluster (``auto``, ``host:6379``); None for one of this
    machine's own. ``tracking``: whether MLflow and Optuna are kept up to the record. ``optuna``: where Optuna's studies are, a
    journal's path or a database's URL; None for a journal in the storage.
    """

    cpus: float | None = None
    gpus: float | None = None
    concurrent: int | None = None
    address: str | None = None
    runtime: Runtime = field(default_factory=Runtime)
    tracking: bool = True
    optuna: str | None = None

    def resolved(self) -> "Options":
        """The same options with the folder of the data sets as an absolute path, which every worker understands."""
        folder = str(Path(self.runtime.data_dir).expanduser().resolve())
        return replace(self, runtime=replace(self.runtime, data_dir=folder))
