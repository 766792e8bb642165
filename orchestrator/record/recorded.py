"""What the record holds of one trial, as a plan needs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from analysis.record.schema import Ending, Status


class Failed(NamedTuple):
    """An evaluation or measurement that failed. ``label``: its readable name. ``reason``: in one line."""

    label: str
    checkpoint: str
    reason: str

    @property
    def name(self) -> str:
        """Its label and its checkpoint."""
        return f"{self.label} ({self.checkpoint})"


@dataclass(frozen=True)
class Recorded:
    """A trial in the record: its status, finished epochs, and the keys of its evaluations and measurements.

    ``failures``: those that failed, by their keys; none of them is among ``evaluations`` and ``measurements``.
    """

    status: Status = Status.UNFINISHED
    reason: str = ""
    epochs: int = 0
    evaluations: frozenset[str] = field(default_factory=frozenset)
    measurements: frozenset[str] = field(default_factory=frozenset)
    ending: Ending | None = None
    failures: Mapping[str, Failed] = field(default_factory=dict)
