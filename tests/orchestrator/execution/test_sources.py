"""Where several drivers share a storage: each job runs once, and a driver waits for what another one runs."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from analysis.record.schema import Ending, Status
from orchestrator.execution import sources
from orchestrator.execution.job import write_failure, write_trial
from orchestrator.execution.sources import Claimed, Queue
from orchestrator.record.report import End, Report
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.sharing.drivers import Driver
from tests.support.tiny_study import jobs, tiny_plan


class Listener:
    def __init__(self):
        self.heard = []

    def elsewhere(self, key, driver):
        self.heard.append(("elsewhere", key))

    def advanced(self, key, report):
        self.heard.append(("advanced", key, report))

    def failed(self, key, end):
        self.heard.append(("failed", key, end))


class One:
    """A driver of the tiny study's jobs: all of them, or some."""

    def __init__(self, store, some, **more):
        self.listener = Listener()
        self.claims = Claims(store, Driver.here("run"))
        self.source = Claimed(Queue(some), store, self.claims, self.listener, **more)

    def start_all(self):
        """Start every job that can be started now."""
        return list(iter(self.source.next, None))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(sources, "LOOK", -1.0)


@pytest.fixture
def living(monkeypatch):
    """Drivers without a heartbeat, which count as living."""
    found: dict[str, Driver] = {}
    monkeypatch.setattr("orchestrator.record.sharing.claims.drivers", lambda files, now: found)
    return found


@pytest.fixture
def make(store, living):
    def make(some=None, **more):
        made = One(store, some or jobs(tiny_plan(), store), **more)
        living[made.claims.driver.id] = made.claims.driver
        return made

    return make


def finish(store, job):
    """Train and evaluate a job as far as the record shows."""
    progress = {
        "created": datetime.now(UTC),
        "epochs": job.config.training.epochs,
        "best_epoch": 1,
        "device": "cpu",
        "seconds": 0.0,
        "history": [],
    }
    write_trial(store, job, {"created": datetime.now(UTC), **progress}, Status.FINISHED)
    for number, evaluation in enumerate(job.evaluations):
        row = {
            "evaluation": evaluation.key, "trial": job.key, "checkpoint": evaluation.checkpoint, "epoch": 1, "attack": "a",
            "attack_name": "a", "attack_spec": "{}", "sees": "nothing", "iterates": False, "ensemble": False, "numerics": "{}",
            "beta_atk": "", "head": "final", "accuracy": 0.5, "ranks": [0, 1], "complete": True, "class_accuracy": [0.5],
            "seconds": 1.0, "finished": datetime.now(UTC),
        }  # fmt: skip
        store.write_evaluations(job.key, str(number), [row])


def test_two_drivers_share_the_jobs_and_each_runs_once(make, store):
    first, second = make(), make()
    mine = [first.source.next()]
    theirs = [second.source.next()]
    mine += first.start_all()
    theirs += second.start_all()
    keys = [job.key for job in mine + theirs]
    assert sorted(keys) == sorted(job.key for job in jobs(tiny_plan(), store))
    assert ("elsewhere", theirs[0].key) in first.listener.heard
    assert not first.source.exhausted, "it waits for the others"
    for job in mine:
        finish(store, job)
        first.source.ended(job)
    for job in theirs:
        finish(store, job)
        second.source.ended(job)
    assert (first.start_all(), second.start_all()) == ([], [])
    assert (first.source.exhausted, second.source.exhausted) == (True, True)
    done = {key: report for kind, key, *rest in first.listener.heard if kind == "advanced" for report in rest}
    assert done.keys() == {job.key for job in theirs}
    assert all(report.done and report.evaluations_left == 0 for report in done.values())


def test_what_another_driver_gave_up_goes_on_here(make, store):
    first, second = make(), make()
    begun = first.start_all()
    assert second.start_all() == []
    first.claims.release(*(job.key for job in begun))
    assert second.start_all() == begun


def test_what_another_driver_has_ended_before_is_not_begun(make, store):
    first, second = make(), make()
    job = first.source.next()
    finish(store, job)
    first.source.ended(job)
    assert job not in second.start_all()
    assert [(kind, key) for kind, key, *_ in second.listener.heard] == [("advanced", job.key)]


def test_a_failure_of_another_driver_is_reported_and_not_tried_again(make, store):
    first, second = make(), make(retry_failed=True)
    (job, *_) = first.start_all()
    assert second.start_all() == []
    end = End(Ending.ERROR, "ValueError: steep")
    write_failure(store, job, end)
    first.source.ended(job)
    assert second.start_all() == []
    assert ("failed", job.key, end) in second.listener.heard


def test_a_failure_of_before_is_tried_again_after_another_driver_gave_up(make, store):
    (job, *_) = jobs(tiny_plan(), store)
    write_failure(store, job, End(Ending.ERROR, "ValueError: steep"))
    first, second = make([job], retry_failed=True), make([job], retry_failed=True)
    assert first.start_all() == [job]
    assert second.start_all() == []
    first.claims.release(job.key)
    assert second.start_all() == [job]


def test_a_failure_of_before_is_tried_again_where_that_is_asked_for(make, store):
    (job, *_) = jobs(tiny_plan(), store)
    write_failure(store, job, End(Ending.ERROR, "ValueError: steep"))
    again, not_again = make([job], retry_failed=True), make([job])
    assert again.start_all() == [job]
    again.claims.release(job.key)
    assert not_again.start_all() == []
    assert [kind for kind, *_ in not_again.listener.heard] == ["failed"]


def test_attacks_that_failed_elsewhere_have_their_reason(make, store):
    first, second = make(), make()
    (job, *_) = first.start_all()
    second.start_all()
    lacking, *others = job.evaluations
    finish(store, replace(job, evaluations=tuple(others)))
    row = {"trial": job.key, "evaluation": lacking.key, "checkpoint": lacking.checkpoint, "attack": "a", "label": lacking.label}
    store.write_failures(job.key, "part", [{**row, "reason": "NaN", "finished": datetime.now(UTC)}])
    first.source.ended(job)
    second.start_all()
    (report,) = [rest[0] for kind, key, *rest in second.listener.heard if kind == "advanced"]
    assert report.failed == {f"{lacking.label} ({lacking.checkpoint})": "NaN"}


def test_a_trial_that_lacks_an_evaluation_is_gone_on_with(make, store):
    first, second = make(), make()
    (job, *_) = first.start_all()
    second.start_all()
    finish(store, replace(job, evaluations=job.evaluations[:-1]))
    first.source.ended(job)
    assert second.start_all() == [job]


def test_a_prefix_that_another_driver_trains_is_left_to_it(make, store):
    one, two, *_ = jobs(tiny_plan(), store)
    first, second = make([two]), make([replace(one, prefixes={two.key: two.config, "free": two.config})])
    assert first.start_all() == [two]
    (job,) = second.start_all()
    assert job.prefixes.keys() == {"free"}
    assert second.claims.taken(["free"]) == {}
    assert first.claims.claim("free") == second.claims.driver
    second.source.ended(job)
    assert first.claims.claim("free") is None


def test_a_trial_that_was_taken_over_is_waited_for(make, store):
    first = make()
    begun = first.start_all()
    assert not first.source.lost(begun[0])
    other = make()
    first.claims.release(begun[0].key)
    other.start_all()
    first.claims.lost.add(begun[0].key)
    assert first.source.lost(begun[0])
    assert not first.source.exhausted
    finish(store, begun[0])
    other.source.ended(begun[0])
    assert first.start_all() == []
    assert first.source.exhausted


def test_reports_reach_the_source(make, store):
    class Stopping(Queue):
        def advanced(self, job, report):
            return "enough"

    (job, *_) = jobs(tiny_plan(), store)
    one = One(store, [job])
    one.source._source = Stopping([])
    assert one.source.advanced(job, Report(1, None, None, 0, 0, 0.0, 0.0, done=False)) == "enough"
