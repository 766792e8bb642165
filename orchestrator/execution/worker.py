"""The actor in which Ray Tune runs one trial after another."""

import gc
from typing import Any

import torch
from ray import tune

from orchestrator.environment import configure_environment
from orchestrator.execution.job import Job
from orchestrator.execution.work import Work


class Worker(tune.Trainable):
    """Runs :class:`Work` as a trainable of Ray Tune. One actor serves many trials, and nothing of one is left to the next.

    A job begins with its first step and not before: Tune may create an actor for a trial that it then gives to another one, and
    the late actor must not overwrite what the other has recorded.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Set the environment variables here too: another program may have started Ray's node without them."""
        configure_environment()
        super().__init__(*arguments, **named)

    def setup(self, config: dict[str, Any]) -> None:
        """Take the job ``config["job"]``."""
        # What is imported stays: the collections between jobs need not look through it.
        gc.freeze()
        self._job: Job = config["job"]
        self._work: Work | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Replace the job by that of another trial, in the same process."""
        self.cleanup()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Leave the job: a training that is not at its end is saved, so that another process goes on from there."""
        if self._work is not None:
            self._work.close()
        self._work = None

    def step(self) -> dict[str, Any]:
        """Advance the job by one epoch or some evaluations, and return its report; see :meth:`Work.advance`."""
        if self._work is None:
            self._work = Work(self._job)
        return self._work.advance().as_result()
