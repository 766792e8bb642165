"""The report of a worker on its trial, and the end of a trial that failed or was stopped early."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from analysis.record.schema import Ending


@dataclass(frozen=True)
class End:
    """Why a trial failed or was stopped early: an ``ending`` for decisions, and a ``reason`` of one line for people."""

    ending: Ending
    reason: str


@dataclass(frozen=True)
class Report:
    """The state of a trial after one step of its worker.

    Attributes:
        epoch: finished epochs.
        natural_accuracy: accuracy on the selection split after the last epoch, in [0, 1]; None before the first.
        robust_accuracy: the same under the selection attack.
        evaluations_left: how many evaluations are still to be run.
        measurements_left: how many measurements are still to be made.
        passes: cost of the step, in passes of one image through the network.
        seconds: duration of the step, without writing the record.
        done: whether nothing is left to do, or the trial failed.
        not_run: why evaluations of this step could not be run, by their labels.
        damaged: paths of damaged files that this step set aside; what they held is made anew.
        failure: why the trial failed; None if it did not.
    """

    epoch: int
    natural_accuracy: float | None
    robust_accuracy: float | None
    evaluations_left: int
    measurements_left: int
    passes: float
    seconds: float
    done: bool
    not_run: Mapping[str, str] = field(default_factory=dict)
    failure: End | None = None
    damaged: tuple[str, ...] = ()

    def as_result(self) -> dict[str, Any]:
        """Pack the report into a result of Ray Tune, which ends the trial if ``done`` is true."""
        return {"report": self, "done": self.done}

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Self:
        """Unpack the report from a result of Ray Tune."""
        report: Self = result["report"]
        return report
