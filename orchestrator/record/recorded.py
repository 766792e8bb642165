"""What the record holds of one trial, as a plan needs it."""

from dataclasses import dataclass, field

from analysis.record.schema import Ending, Status


@dataclass(frozen=True)
class Recorded:
    """A trial in the record: its status, finished epochs, and the keys of its evaluations and measurements."""

    status: Status = Status.UNFINISHED
    reason: str = ""
    epochs: int = 0
    evaluations: frozenset[str] = field(default_factory=frozenset)
    measurements: frozenset[str] = field(default_factory=frozenset)
    ending: Ending | None = None
