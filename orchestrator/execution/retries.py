"""Retries of failed jobs, each after its own wait, while the other jobs run; and what halts a sweep before its end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.errors import DiskFull, one_line
from orchestrator.execution.job import Job

#: How often a trial whose process died, or that raised an error, is tried again from its last checkpoint.
RETRIES = 4
#: Seconds before a trial whose process or node died is tried again, doubled each time: until Ray notices that a node is gone
#: (about 15 s), every actor that is sent to it dies at once.
PAUSE = 2.0


@dataclass
class _Tries:
    """Failed tries of a job; ``nodes``: the nodes that were alive when ``deaths`` was last zero."""

    nodes: frozenset[str]
    errors: int = 0
    deaths: int = 0

    @property
    def failures(self) -> int:
        """How many tries count as failed."""
        return self.errors + self.deaths


class Retries:
    """The jobs that have begun and not ended, and those among them that wait for their next try.

    Deaths of a job's process count only while every node stays alive: an actor that died with its node reports no more than a
    broken connection, so after the loss of a node the job's deaths are counted from zero.

    Args:
        nodes: returns the ids of the nodes that are alive.
        clock: returns a time in seconds.
    """

    def __init__(self, nodes: Callable[[], frozenset[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self._nodes, self._clock = nodes, clock
        self._tries: dict[str, _Tries] = {}
        self._waiting: list[tuple[float, Job]] = []

    @property
    def over(self) -> bool:
        """Whether all jobs that have begun have ended."""
        return not self._tries

    def begin(self, job: Job) -> None:
        """Note that a job is tried for the first time."""
        self._tries[job.key] = _Tries(self._nodes())

    def end(self, job: Job) -> None:
        """Note that a job is done, stopped or failed for good."""
        self._tries.pop(job.key, None)

    def failures(self, job: Job) -> int:
        """Return how many tries of a job have failed, without those that were lost with a node."""
        return self._tries[job.key].failures

    def again(self, job: Job, died: bool) -> bool:
        """Let a failed job wait for its next try; return False if none is left. ``died``: whether its process or node died."""
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

    def afresh(self, job: Job) -> None:
        """Let a job that failed for good begin anew, in place of the one of its key: it does less."""
        self.begin(job)
        self._waiting.append((self._clock(), job))

    def due(self) -> Job | None:
        """Return a job that has waited long enough, or None."""
        now = self._clock()
        for i, (when, job) in enumerate(self._waiting):
            if when <= now:
                del self._waiting[i]
                return job
        return None


@dataclass
class Halt:
    """What halts a sweep before its end: a time, or a fault of the environment, under which every trial would fail.

    ``until``: no job is started later, in local time, and running ones stop at their next report; None for never. ``fault``:
    what is wrong; "" for nothing. ``stopped``: keys of the trials that were stopped for either. ``interrupted``: whether Ctrl-C
    or SIGTERM has arrived, which Tune does not look at while it waits for a job.
    """

    until: datetime | None = None
    fault: str = ""
    stopped: set[str] = field(default_factory=set)
    interrupted: bool = False

    @property
    def now(self) -> bool:
        """Whether to halt."""
        return self.interrupted or bool(self.fault) or (self.until is not None and datetime.now() >= self.until)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Halt where the storage fails the driver: what a callback of Tune raises would reach the user as a traceback."""
        try:
            yield
        except DiskFull as error:
            self.fault = self.fault or str(error)
        except OSError as error:
            self.fault = self.fault or f"the storage fails: {one_line(error)}; what is finished is kept"

    def interrupt(self) -> None:
        """Note that Ctrl-C or SIGTERM has arrived."""
        self.interrupted = True
