"""The actor: Ray Tune's side of the work on one trial after another."""

import gc
from typing import Any

import torch
from ray import tune

from orchestrator.environment import configure_environment
from orchestrator.execution.job import Job
from orchestrator.execution.work import Work


class Worker(tune.Trainable):
    """Ray Tune's side of :class:`Work`. One actor serves many trials; nothing of one is left when the next begins.

    A job begins with its first step and not before: Tune may make an actor for a trial that it then gives to another one, and
    what comes up late must not write over what that one has recorded.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Make an actor that stays in the folder it was started in, also where another program has started Ray's node."""
        configure_environment()
        super().__init__(*arguments, **named)

    def setup(self, config: dict[str, Any]) -> None:
        """Take on ``config["job"]``."""
        self._job: Job = config["job"]
        self._work: Work | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take on another job in this process."""
        del self._work
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Begin the job, or go on with it; see :meth:`Work.advance`."""
        if self._work is None:
            self._work = Work(self._job)
        return self._work.advance().as_result()
