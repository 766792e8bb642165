"""What a worker reports of its trial, and how a trial ends that is not finished."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from analysis.schema import Ending


@dataclass(frozen=True)
class End:
    """Why a trial failed or was stopped early: ``ending``, which decisions hang on, and a ``reason`` in one line for people."""

    ending: Ending
    reason: str


@dataclass(frozen=True)
class Report:
    """How far a trial got with one step of its worker.

    Attributes:
        epoch: epochs that are finished.
        natural_accuracy: on the selection split behind the last of them, a fraction; None before the first.
        robust_accuracy: the same under the selection attack.
        evaluations_left: how many are still to be run.
        measurements_left: how many are still to be made.
        passes: what the step cost, in passes of one image through the network.
        seconds: what it took, without the record's part.
        done: whether nothing is left to do, or the trial failed.
        not_run: reasons of the evaluations that were left out in this step, by their labels.
        failure: why the trial failed, if it did.
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

    def as_result(self) -> dict[str, Any]:
        """Pack it as a result of Ray Tune's, which ends a trial by its ``done``."""
        return {"report": self, "done": self.done}

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Self:
        """Take it out of a result of Ray Tune's."""
        report: Self = result["report"]
        return report
