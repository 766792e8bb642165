"""How a sweep runs; never a part of what it makes. Imports no ray, so that a command line is read at once."""

from dataclasses import dataclass

from trainables.config import Runtime


@dataclass(frozen=True)
class Options:
    """How a sweep runs: resources of a trial (None: chosen from the cluster), cluster, data, and whether MLflow is written."""

    cpus: float | None
    gpus: float | None
    concurrent: int | None
    address: str | None
    runtime: Runtime
    tracking: bool
