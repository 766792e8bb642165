"""The driver without Ray: reasons of failures, searcher and callbacks. Whole sweeps are run in tests/integration."""

import errno
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import ray.exceptions
import torch
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from analysis.record.schema import Ending, Status
from orchestrator.errors import DiskFull
from orchestrator.execution.driver import JobSearcher, _Callback, _EarlyStopping
from orchestrator.execution.job import write_trial
from orchestrator.execution.retries import RETRIES, Halt, Retries
from orchestrator.execution.sources import Claimed, Queue
from orchestrator.record.report import End, Report
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.sharing.drivers import Driver as Claimant
from tests.support.tiny_study import jobs, tiny_plan
from trainables.data import DataNotFound


def as_task_error(cause):
    """Wrap an error as Ray does when it passes it to the driver."""
    return ray.exceptions.RayTaskError("step", "Traceback ...", cause).as_instanceof_cause()


OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.mark.parametrize("wrap", [lambda error: error, as_task_error])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError(OUT_OF_MEMORY), f"out of memory: {OUT_OF_MEMORY}"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes\n"),
            "out of memory: [enforce fail] ",
        ),
        (RuntimeError("CUBLAS: out of memory"), "out of memory: CUBLAS: out of memory"),
        (MemoryError("Unable to allocate 3 GiB"), "out of memory: Unable to allocate 3 GiB"),
        (ValueError("the first line\nand the last one \n\n"), "ValueError: and the last one"),
        (KeyError("layer"), "KeyError: 'layer'"),
    ],
)
def test_an_error_of_a_trial_is_a_reason_in_one_line(wrap, error, reason):
    explained = End.of(wrap(error), 5)
    assert explained.reason.startswith(reason)
    assert "\n" not in explained.reason
    assert explained.ending is (Ending.OUT_OF_MEMORY if reason.startswith("out of memory") else Ending.ERROR)


@pytest.mark.parametrize("error", [MemoryError(), ValueError(""), RuntimeError("\n")])
def test_an_error_without_a_message_has_its_name_as_reason(error):
    explained = End.of(error, 5)
    assert explained.reason in {"out of memory", "ValueError", "RuntimeError"}


@pytest.mark.parametrize(
    "error",
    [
        ray.exceptions.ActorDiedError(),
        ray.exceptions.ActorUnavailableError("The actor is temporarily unavailable", None),
        ray.exceptions.WorkerCrashedError(),
        ray.exceptions.NodeDiedError("Task failed due to the node dying"),
    ],
)
def test_the_reason_of_a_dead_process_says_how_often_it_was_tried(error):
    explained = End.of(error, 5)
    assert explained.ending is Ending.PROCESS_DIED
    assert explained.reason.startswith("its process or node died 5 times: ")
    assert "\n" not in explained.reason


def test_rays_own_memory_monitor_is_out_of_memory():
    error = ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.\nRefer to the docs.\n")
    assert End.of(error, 1).reason.startswith("out of memory: ")
    assert End.of(error, 1).ending is Ending.OUT_OF_MEMORY


def test_a_long_reason_is_cut():
    assert len(End.of(ValueError("x" * 5000), 5).reason) < 300


def claimed(source, store, listener=None, **more):
    """Give the jobs of a source as a driver of its own does."""
    return Claimed(source, store, Claims(store, Claimant.here("run")), listener or Listener(), **more)


class Driver:
    """Stands for Tune: asks the searcher for jobs, and lets a job end as the test says."""

    def __init__(self, source, store, folder):
        self.listener, self.nodes, self.now = Listener(), {"here", "there"}, 0.0
        source = claimed(source, store, self.listener)
        self.source, self.folder = source, folder
        self.retries = Retries(lambda: frozenset(self.nodes), lambda: self.now)
        self.halt = Halt()
        self.searcher = JobSearcher(source, self.retries, self.halt)
        self.callback = _Callback(source, store, self.listener, {}, self.retries, self.halt)

    def suggest(self):
        return self.searcher.suggest("a trial")

    def fail(self, config, error):
        file = self.folder / "error.pkl"
        file.write_bytes(ray.cloudpickle.dumps(error))
        self.callback.on_trial_error(0, [], SimpleNamespace(config=config, pickled_error_file=str(file)))

    def complete(self, config):
        self.callback.on_trial_complete(0, [], SimpleNamespace(config=config))


class Listener:
    def __init__(self):
        self.failures = {}

    def failed(self, key, end):
        self.failures[key] = end


@pytest.fixture
def driver(store, tmp_path):
    """A driver with the three jobs of the tiny study."""
    return Driver(Queue(jobs(tiny_plan(), store)), store, tmp_path)


UNAVAILABLE = ray.exceptions.ActorUnavailableError("RpcError: Connection reset by peer", None)


def test_the_searcher_gives_the_jobs_in_order_and_finishes_when_all_have_ended(driver, store):
    some = jobs(tiny_plan(), store)
    served = [driver.suggest() for _ in some]
    assert [config["job"] for config in served] == some
    assert [config["key"] for config in served] == [job.key for job in some]
    for config in served:
        assert driver.suggest() is None  # one of those that run may have to be retried
        driver.complete(config)
    assert [driver.suggest() for _ in range(3)] == [Searcher.FINISHED] * 3


def test_a_plan_with_nothing_to_do_is_finished_at_once(store):
    assert JobSearcher(claimed(Queue([]), store), Retries(frozenset), Halt()).suggest("x") == Searcher.FINISHED


def test_a_job_whose_process_died_waits_longer_each_time_and_delays_no_other(driver):
    first = driver.suggest()
    for pause in (2, 4, 8, 16):
        driver.fail(first, UNAVAILABLE)
        driver.now += pause - 0.1
        assert driver.suggest() not in (first, Searcher.FINISHED)  # the others, and then none
        driver.now += 0.1
        assert driver.suggest() == first
    assert driver.listener.failures == {}
    driver.fail(first, UNAVAILABLE)
    assert driver.listener.failures[first["key"]].reason.startswith("its process or node died 5 times: ")
    assert driver.suggest() is None


def test_a_job_that_raised_an_error_is_retried_at_once_and_tried_five_times_in_all(driver, store):
    first = driver.suggest()
    for _ in range(4):
        driver.fail(first, ValueError("its own"))
        assert driver.suggest() == first
    driver.fail(first, ValueError("its own"))
    assert driver.listener.failures == {first["key"]: End(Ending.ERROR, "ValueError: its own")}
    assert (store.read_trial(first["key"])["status"], store.read_trial(first["key"])["epochs"]) == (Status.FAILED, 0)
    assert driver.suggest() != first


def test_an_attack_that_fails_in_every_try_is_given_up_and_its_trial_goes_on(driver, store):
    first = driver.suggest()
    job = first["job"]
    progress = {
        "created": datetime.now(UTC),
        "epochs": job.config.training.epochs,
        "best_epoch": 1,
        "device": "",
        "seconds": 0.0,
        "history": [],
    }
    write_trial(store, job, {"created": datetime.now(UTC), **progress}, Status.FINISHED)
    row = {"trial": job.key, "evaluation": "e", "checkpoint": "last", "attack": "a", "label": "PGD", "reason": "out of memory"}
    store.write_failures(job.key, "part", [{**row, "finished": datetime.now(UTC)}])
    error = MemoryError("3 GiB")
    for _ in range(4):
        driver.fail(first, error)
        assert driver.suggest() == first
    driver.fail(first, error)
    less = driver.suggest()
    assert less["job"] == replace(job, given_up=frozenset({"e"}))
    assert driver.listener.failures == {}
    # What fails then fails the trial.
    for _ in range(4):
        driver.fail(less, error)
        assert driver.suggest() == less
    driver.fail(less, error)
    assert driver.listener.failures == {job.key: End(Ending.OUT_OF_MEMORY, "out of memory: 3 GiB")}


def test_a_death_with_its_node_costs_no_try(driver):
    first = driver.suggest()
    for _ in range(2):
        driver.fail(first, ValueError("its own"))
        assert driver.suggest() == first
    for _ in range(2):  # before Ray knows that the node is gone
        driver.fail(first, UNAVAILABLE)
        driver.now += 60
        assert driver.suggest() == first
    driver.nodes = {"here"}
    driver.fail(first, UNAVAILABLE)
    driver.now += 2  # no longer than after a first death
    assert driver.suggest() == first
    for _ in range(2):  # three tries are left, unless a second node is lost
        driver.fail(first, UNAVAILABLE)
        driver.now += 60
        assert driver.suggest() == first
    driver.fail(first, UNAVAILABLE)
    assert driver.listener.failures[first["key"]].reason.startswith("its process or node died 5 times: ")


def reported(epoch):
    """Return a report as a result of Tune."""
    return Report(epoch, 0.9, 0.5, 3, 0, passes=1.0, seconds=1.0, done=False).as_result()


def test_a_job_that_its_source_stops_is_recorded(store):
    (job, *_) = jobs(tiny_plan(), store)
    early = _EarlyStopping(claimed(Impatient(), store), store, Halt())
    trial = SimpleNamespace(config={"job": job, "key": job.key})
    assert early.on_trial_result(None, trial, reported(1)) == TrialScheduler.CONTINUE
    assert store.read_trial(job.key) is None
    assert early.on_trial_result(None, trial, reported(2)) == TrialScheduler.STOP
    row = store.read_trial(job.key)
    assert (row["status"], row["ending"]) == (Status.EARLY_STOPPED, Ending.EARLY_STOPPED)
    assert row["reason"] == "enough after 2"
    assert early.reasons == {job.key: "enough after 2"}


def test_at_its_time_a_sweep_starts_no_job_and_stops_the_others_at_their_next_report(driver, store):
    first = driver.suggest()
    early = _EarlyStopping(driver.source, store, driver.halt)
    trial = SimpleNamespace(config=first)
    driver.halt.until = datetime.now() + timedelta(hours=1)
    assert early.on_trial_result(None, trial, reported(1)) == TrialScheduler.CONTINUE
    driver.halt.until = datetime.now()
    assert driver.suggest() == Searcher.FINISHED
    assert early.on_trial_result(None, trial, reported(2)) == TrialScheduler.STOP
    assert store.read_trial(first["key"]) is None, "it is neither stopped early nor failed"
    driver.source.ended = None  # nothing has ended
    driver.complete(first)
    assert (driver.retries.over, early.reasons, driver.listener.failures) == (True, {}, {})


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (DataNotFound("data set mnist in there is missing or damaged"), "data set mnist in there is missing or damaged"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (as_task_error(OSError(28, "No space left on device")), "[Errno 28] No space left on device"),
    ],
)
def test_a_fault_of_the_environment_halts_the_sweep_and_fails_no_trial(driver, store, error, fault):
    first = driver.suggest()
    driver.fail(first, error)
    assert driver.halt.fault == fault
    assert driver.suggest() == Searcher.FINISHED
    assert (store.read_trial(first["key"]), driver.listener.failures) == (None, {})


class Impatient(Queue):
    """Stops every job after its second epoch."""

    def __init__(self):
        super().__init__([])

    def advanced(self, job, report):
        return f"enough after {report.epoch}" if report.epoch >= 2 else None


def test_searcher_scheduler_and_callback_can_be_pickled_with_any_source_and_listener(store):
    class Terminal(Queue):
        def __init__(self):
            super().__init__([])

        def __reduce__(self):
            raise TypeError("a terminal cannot be pickled")

    source = claimed(Terminal(), store)
    retries = Retries(frozenset)
    for made in (
        _Callback(source, store, source, {}, retries, Halt()),
        JobSearcher(source, retries, Halt()),
        _EarlyStopping(source, store, Halt()),
    ):
        pickle.dumps(made)


@pytest.mark.parametrize("error", [DiskFull("no space left"), OSError(errno.ENOSPC, "no space left")])
def test_a_full_disk_is_not_retried_and_no_failure_of_the_trial(store, tmp_path, error):
    (job, *_) = jobs(tiny_plan(), store)
    driver = Driver(Queue([job]), store, tmp_path)
    config = driver.suggest()
    driver.fail(config, error)
    assert driver.halt.fault.endswith("no space left")
    assert driver.suggest() == Searcher.FINISHED
    assert store.read_trial(job.key) is None
    assert driver.listener.failures == {}


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (DiskFull("no space left"), "no space left"),
        (OSError("no answer"), "the storage fails: no answer; what is finished is kept"),
    ],
)
def test_a_storage_that_fails_the_driver_itself_halts_the_sweep_and_fails_no_trial(store, tmp_path, monkeypatch, error, fault):
    (job, *_) = jobs(tiny_plan(), store)
    driver = Driver(Queue([job]), store, tmp_path)
    monkeypatch.setattr("orchestrator.execution.driver.write_failure", lambda *_: (_ for _ in ()).throw(error))
    for _ in range(1 + RETRIES):
        driver.fail(driver.suggest(), ValueError("steep"))
    assert driver.halt.fault == fault
    assert driver.listener.failures == {}
    assert driver.retries.over
    assert driver.suggest() == Searcher.FINISHED
