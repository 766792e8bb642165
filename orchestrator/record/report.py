"""The report of a worker on its trial, and the end of a trial that failed or was stopped early.

Errors are told apart by the names of their types: Ray's and torch's are not imported here.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from analysis.record.schema import Ending
from orchestrator.record.files import is_full


@dataclass(frozen=True)
class End:
    """Why a trial failed or was stopped early: an ``ending`` for decisions, and a ``reason`` of one line for people."""

    ending: Ending
    reason: str

    @classmethod
    def of(cls, error: BaseException, failures: int = 1) -> Self:
        """Classify an error: out of memory, a dead process, or the exception, with the last line of its message.

        ``failures``: how many tries have failed.
        """
        cause = cause_of(error)
        lines = [line for line in str(cause).strip().splitlines() if line.strip()]
        last = lines[-1].strip() if lines else ""
        if out_of_memory(cause):
            ending, kind = Ending.OUT_OF_MEMORY, "out of memory"
        elif died(error):
            ending, kind = Ending.PROCESS_DIED, f"its process or node died {failures} times"
        else:
            ending, kind = Ending.ERROR, type(cause).__name__
        return cls(ending, f"{kind}: {last[:200]}" if last else kind)


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
        not_run: why evaluations of this step could not be run, by their names; the next run tries them again.
        damaged: paths of damaged files that this step set aside; what they held is made anew.
        failure: why the trial failed; None if it did not.
        failed: why evaluations and measurements of this step failed, by their names.
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
    failed: Mapping[str, str] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()

    def as_result(self) -> dict[str, Any]:
        """Pack the report into a result of Ray Tune, which ends the trial if ``done`` is true."""
        return {"report": self, "done": self.done}

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Self:
        """Unpack the report from a result of Ray Tune."""
        report: Self = result["report"]
        return report


def cause_of(error: BaseException) -> BaseException:
    """Return the exception that Ray has wrapped, or the exception itself."""
    return getattr(error, "cause", None) or error


def died(error: BaseException) -> bool:
    """Check whether a trial's process or node died, in contrast to an exception of the trial."""
    deaths = {"ActorDiedError", "RayActorError", "ActorUnavailableError", "WorkerCrashedError", "NodeDiedError"}
    return type(cause_of(error)).__name__ in deaths


def out_of_memory(cause: BaseException) -> bool:
    """Check whether memory ran out, also by the message: torch may raise a plain RuntimeError, for a GPU as for a CPU."""
    words = any(words in str(cause) for words in ("out of memory", "can't allocate memory"))
    return words or "OutOfMemory" in type(cause).__name__ or isinstance(cause, MemoryError)


def of_its_own(error: Exception) -> bool:
    """Check whether an attack's or a measure's error is its own, so that another try would not change it.

    Not so if memory failed, or the device: after an error of CUDA every later call in its process fails.
    """
    device = type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)
    return not (device or out_of_memory(error))


def fault_of(error: BaseException) -> str:
    """Return the fault of the environment that an error tells of, in one line: lost data, a full disk; "" for none."""
    cause = cause_of(error)
    lost = "DataNotFound" in {kind.__name__ for kind in type(cause).__mro__}
    full = is_full(cause) or (isinstance(cause, OSError) and cause.errno == errno.EROFS)
    return (str(cause).splitlines() or [type(cause).__name__])[0] if lost or full else ""
