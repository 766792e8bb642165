"""Failed jobs that are tried again, each after a wait of its own, while the others go on."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.execution.job import Job

#: How often a trial whose process died, or that raised an error, is tried again from its last checkpoint.
RETRIES = 4
#: Seconds before a trial whose process or node died is tried again, each time twice as many: until Ray has found out that a
#: node is gone (about 15 s), actors that are there still, or are sent there, die at once.
PAUSE = 2.0


@dataclass
class _Tries:
    """What became of a job so far; ``nodes``: the cluster's when its deaths began to count."""

    nodes: frozenset[str]
    errors: int = 0
    deaths: int = 0

    @property
    def failures(self) -> int:
        return self.errors + self.deaths


class Retries:
    """Every job that has begun and not ended, and those of them that wait to be tried again.

    A death counts as the job's own only as long as no node is gone since deaths began to count: which actor was where is not
    known, and one that was on the node tells nothing but that its connection broke.

    Args:
        nodes: says which nodes of the cluster are alive.
        clock: says how many seconds have passed.
    """

    def __init__(self, nodes: Callable[[], frozenset[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self._nodes, self._clock = nodes, clock
        self._tries: dict[str, _Tries] = {}
        self._waiting: list[tuple[float, Job]] = []

    @property
    def over(self) -> bool:
        """Whether every job that has begun has ended."""
        return not self._tries

    def begin(self, job: Job) -> None:
        """Note that a job is tried for the first time."""
        self._tries[job.key] = _Tries(self._nodes())

    def end(self, job: Job) -> None:
        """Note that a job is done, stopped or failed for good."""
        self._tries.pop(job.key, None)

    def failures(self, job: Job) -> int:
        """Count a job's tries that failed, without those that were lost with a node."""
        return self._tries[job.key].failures

    def again(self, job: Job, died: bool) -> bool:
        """Let a job that failed wait for its next try, if it has one left; ``died``: its process or node did."""
        tries = self._tries[job.key]
        if died:
            tries.deaths += 1
        else:
            tries.errors += 1
        if tries.nodes - (alive := self._nodes()):
            tries.nodes, tries.deaths = alive, 0
        if tries.failures > RETRIES:
            return False
        pause = PAUSE * 2 ** max(0, tries.deaths - 1) if died else 0.0
        self._waiting.append((self._clock() + pause, job))
        return True

    def due(self) -> Job | None:
        """Give the next job that has waited long enough, if there is one."""
        now = self._clock()
        for i, (when, job) in enumerate(self._waiting):
            if when <= now:
                del self._waiting[i]
                return job
        return None
