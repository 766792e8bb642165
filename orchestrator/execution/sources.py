"""Sources of jobs for the driver: a plan's queue, a search, and either of them where several drivers share a storage."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from analysis.record.manifest import Manifest
from analysis.record.schema import Ending, Status
from orchestrator.execution.job import Job
from orchestrator.execution.provenance.origin import NOWHERE, Origin
from orchestrator.planning.plan import PlannedTrial
from orchestrator.record.recorded import Recorded
from orchestrator.record.report import End, Report
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store
from orchestrator.search.loop import Search
from trainables.config import Runtime

#: Seconds between two looks at whether other drivers have ended the trials that are waited for.
LOOK = 2.0


class JobSource(Protocol):
    """Gives jobs, and may stop them early. The driver's loop calls it."""

    @property
    def exhausted(self) -> bool:
        """Whether there are no more jobs to start, neither now nor later."""

    def next(self) -> Job | None:
        """Return the next job to start; None if there is none now."""

    def advanced(self, job: Job, report: Report) -> str | None:
        """Take a report of a job that is not done; return why the job is to be stopped early, or None."""

    def ended(self, job: Job) -> None:
        """Note that a job is done, failed for good or was stopped early; the record says which."""


class Queue:
    """The jobs of a plan, in order; none is stopped early."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = deque(jobs)

    @property
    def exhausted(self) -> bool:
        return not self._jobs

    def next(self) -> Job | None:
        return self._jobs.popleft() if self._jobs else None

    def advanced(self, job: Job, report: Report) -> str | None:
        return None

    def ended(self, job: Job) -> None:
        """Do nothing: the plan is fixed."""


class SearchJobs:
    """The jobs of a search, each noted in the search's manifest before it runs.

    Args:
        found: the search.
        manifest: describes it for the storage.
        added: is passed each sampled trial before its job is given.
        origin: of the command.
    """

    def __init__(
        self,
        found: Search,
        manifest: Callable[[Search], Manifest],
        store: Store,
        runtime: Runtime,
        added: Callable[[PlannedTrial], None],
        origin: Origin = NOWHERE,
    ) -> None:
        self._search, self._manifest, self._store, self._added = found, manifest, store, added
        self._runtime, self._origin = runtime, origin
        self._running: set[str] = set()
        self.exhausted = False

    @property
    def over(self) -> bool:
        """Whether the search has no more jobs, and all that it gave have ended."""
        return self.exhausted and not self._running

    def next(self) -> Job | None:
        """Return the job of the next sampled trial; None if there are no more."""
        planned = self._search.next()
        if planned is None:
            self.exhausted = True
            return None
        self._store.write_manifest(self._manifest(self._search))
        self._added(planned)
        self._running.add(planned.key)
        return Job.of(planned, self._store, self._runtime, origin=self._origin)

    def advanced(self, job: Job, report: Report) -> str | None:
        """Pass a report to the search; return why the job is to be stopped early, or None."""
        return self._search.advanced(job.key, report)

    def ended(self, job: Job) -> None:
        """Let the search read the job's result from the record."""
        self._running.discard(job.key)
        self._search.ended(job.key)


class SharedListener(Protocol):
    """Follows the trials that other drivers run."""

    def elsewhere(self, key: str, driver: str) -> None:
        """Another driver runs a trial, and it is waited for."""

    def advanced(self, key: str, report: Report) -> None:
        """Another driver has ended a trial that was waited for."""

    def failed(self, key: str, end: End) -> None:
        """A trial failed for good with another driver."""


class Claimed:
    """The jobs of a source, each given once its trial is claimed; what other drivers run is waited for.

    A job whose trial another driver has ended meanwhile is done, and one that it gave up goes on from there.

    Args:
        source: the jobs.
        retry_failed: whether trials that failed before this driver started are run again.
    """

    def __init__(
        self, source: JobSource, store: Store, claims: Claims, listener: SharedListener, retry_failed: bool = False
    ) -> None:
        self._source, self._store, self._claims, self._listener = source, store, claims, listener
        self._retry_failed = retry_failed
        self._waiting: dict[str, Job] = {}
        self._updated: dict[str, datetime | None] = {}
        self._looked = 0.0

    @property
    def exhausted(self) -> bool:
        """Whether there are no more jobs to start, and none that another driver runs."""
        return self._source.exhausted and not self._waiting

    def next(self) -> Job | None:
        """Return the next job whose trial this driver has claimed; None if there is none now."""
        while not self._source.exhausted and (job := self._source.next()):
            if mine := self._claim(job, waited=False):
                return mine
        if self._waiting and time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            taken = self._claims.taken(self._waiting)
            for key in [key for key in self._waiting if key not in taken]:
                if mine := self._claim(self._waiting.pop(key), waited=True):
                    return mine
        return None

    def advanced(self, job: Job, report: Report) -> str | None:
        """Pass a report to the source; return why the job is to be stopped early, or None."""
        return self._source.advanced(job, report)

    def lost(self, job: Job) -> bool:
        """Check whether another driver may have taken a running trial over: then it is stopped here, and claimed again."""
        if job.key not in self._claims.lost:
            return False
        self._wait(job, "another driver")
        return True

    def ended(self, job: Job) -> None:
        """Note that a job has ended, and give up its claims."""
        self._source.ended(job)
        self._claims.release(job.key, *job.prefixes)

    def _wait(self, job: Job, driver: str) -> None:
        """Let a job wait for another driver to end its trial, and note when its row was written last."""
        self._listener.elsewhere(job.key, driver)
        self._waiting[job.key] = job
        self._updated.setdefault(job.key, self._update(job.key))

    def _update(self, key: str) -> datetime | None:
        """Return when a trial's row was written last."""
        row = self._store.read_trial(key) if self._retry_failed else None
        return row["updated"] if row else None

    def _claim(self, job: Job, waited: bool) -> Job | None:
        """Claim a job's trial and its prefixes; return what is left to do here, or None.

        ``waited``: whether another driver had the trial, so that a failure on record is that driver's.
        """
        if other := self._claims.claim(job.key):
            self._wait(job, str(other))
            return None
        if self._is_over(job, waited):
            self.ended(job)
            return None
        return replace(job, prefixes={key: config for key, config in job.prefixes.items() if not self._claims.claim(key)})

    def _is_over(self, job: Job, waited: bool) -> bool:
        """Check whether another driver has ended a trial since the plan was made, and pass that to the listener."""
        recorded = self._store.recorded(job.key) or Recorded()
        # Where failures are retried, one counts that another driver has recorded since this one began to wait.
        counts = not self._retry_failed or (waited and self._update(job.key) != self._updated.get(job.key))
        if recorded.status == Status.FAILED and counts:
            self._listener.failed(job.key, End(recorded.ending or Ending.ERROR, recorded.reason))
            return True
        failed = recorded.failures if counts else {}
        left = [e for e in job.evaluations if not e.done(recorded.evaluations) and e.key not in failed]
        unmeasured = [m for m in job.measurements if m.key not in recorded.measurements | failed.keys()]
        if recorded.status != Status.FINISHED or left or unmeasured:
            return False
        keys = {e.key for e in job.evaluations} | {m.key for m in job.measurements}
        reasons = {its.name: its.reason for key, its in failed.items() if key in keys}
        report = Report(recorded.epochs, None, None, 0, 0, passes=0.0, seconds=0.0, done=True, failed=reasons)
        self._listener.advanced(job.key, report)
        return True
