"""Options of a sweep: how it runs, which changes no result. Imports no ray, so that the command line starts at once."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from trainables.config import Runtime


@dataclass(frozen=True)
class Options:
    """How a sweep runs: resources of a trial, cluster, data, and views of the record.

    ``cpus``, ``gpus``: of one trial, fractions are allowed; None for 1 CPU, and 1 GPU if the cluster has any. ``concurrent``:
    the most trials at once; None for as many as fit. ``address``: a running Ray cluster (``auto``, ``host:6379``); None to
    start one on this machine. ``runtime``: device, kernels and the folder of the data sets. ``tracking``: whether MLflow and
    Optuna are updated from the record. ``optuna``: the storage of Optuna's studies, a journal's path or a database's URL; None
    for a journal in the storage. ``verify``: whether every file of the planned trials is verified first, also what is not read
    otherwise.
    """

    cpus: float | None = None
    gpus: float | None = None
    concurrent: int | None = None
    address: str | None = None
    runtime: Runtime = field(default_factory=Runtime)
    tracking: bool = True
    optuna: str | None = None
    verify: bool = False

    def resolved(self) -> "Options":
        """Return these options with an absolute path of the data folder, which is the same in every worker."""
        folder = str(Path(self.runtime.data_dir).expanduser().resolve())
        return replace(self, runtime=replace(self.runtime, data_dir=folder))
