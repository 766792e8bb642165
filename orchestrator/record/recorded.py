"""What the record holds of one trial, as far as a plan asks for it."""

from dataclasses import dataclass, field

from analysis.schema import Ending, Status


@dataclass(frozen=True)
class Recorded:
    """What the record holds of one trial: the row of ``trial.parquet``, and the keys of its evaluations and measurements."""

    status: Status = Status.UNFINISHED
    reason: str = ""
    epochs: int = 0
    evaluations: frozenset[str] = field(default_factory=frozenset)
    measurements: frozenset[str] = field(default_factory=frozenset)
    ending: Ending | None = None
