"""The driver's own parts: reasons of failures, and the searcher that serves a plan. Sweeps are run in tests/integration."""

import pickle
from types import SimpleNamespace

import pytest
import ray.exceptions
import torch
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from analysis.schema import STOPPED
from orchestrator.execution.driver import JobSearcher, Queue, _Callback, _EarlyEnd, explain
from tests.support.tiny_study import jobs, tiny_plan


def as_task_error(cause):
    """The error as Ray hands it to the driver."""
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
    explained = explain(wrap(error))
    assert explained.startswith(reason)
    assert "\n" not in explained


@pytest.mark.parametrize("error", [MemoryError(), ValueError(""), RuntimeError("\n")])
def test_an_error_without_words_is_named(error):
    explained = explain(error)
    assert explained in {"out of memory", "ValueError", "RuntimeError"}


@pytest.mark.parametrize(
    "error",
    [
        ray.exceptions.ActorDiedError(),
        ray.exceptions.ActorUnavailableError("The actor is temporarily unavailable", None),
        ray.exceptions.WorkerCrashedError(),
        ray.exceptions.NodeDiedError("Task failed due to the node dying"),
    ],
)
def test_a_process_or_node_that_died_is_said_to_have_died_as_often_as_it_was_tried(error):
    explained = explain(error)
    assert explained.startswith("its process or node died 5 times: ")
    assert "\n" not in explained


def test_after_a_death_it_waits_longer_each_time_and_after_an_error_not_at_all(tmp_path, monkeypatch):
    waited, now = [], [100.0]

    def sleep(seconds):
        waited.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("orchestrator.execution.driver.time", SimpleNamespace(sleep=sleep, monotonic=lambda: now[0]))
    callback = _Callback(Queue([]), None, None, {})

    def recover(key, error):
        file = tmp_path / "error.pkl"
        file.write_bytes(ray.cloudpickle.dumps(error))
        callback.on_trial_recover(0, [], SimpleNamespace(config={"key": key}, pickled_error_file=str(file)))

    for _ in range(3):
        recover("one", ray.exceptions.ActorUnavailableError("Socket closed", None))
    recover("one", ValueError("its own"))
    assert waited == [2, 4, 8]
    # Another trial, later.
    recover("other", ray.exceptions.NodeDiedError("gone"))
    assert waited == [2, 4, 8, 2]
    # Those that died with it have waited with it, and those that died since then have not.
    for i in range(20):
        recover(f"beside {i}", ray.exceptions.NodeDiedError("gone"))
    assert waited == [2, 4, 8, 2]
    now[0] += 2.1
    recover("later", ray.exceptions.NodeDiedError("gone"))
    assert waited == [2, 4, 8, 2, 2]


def test_rays_own_memory_monitor_is_out_of_memory():
    error = ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.\nRefer to the docs.\n")
    assert explain(error).startswith("out of memory: ")


def test_a_long_reason_is_cut():
    assert len(explain(ValueError("x" * 5000))) < 300


def test_the_searcher_serves_the_jobs_in_their_order_and_then_is_finished(store):
    some = jobs(tiny_plan(seeds=2), store)
    searcher = JobSearcher(Queue(some))
    served = [searcher.suggest(f"trial-{i}") for i in range(len(some))]
    assert [config["job"] for config in served] == some
    assert [config["key"] for config in served] == [job.key for job in some]
    searcher.on_trial_complete("trial-0", {"passes": 1.0})
    searcher.on_trial_complete("trial-1", error=True)
    assert [searcher.suggest("x") for _ in range(3)] == [Searcher.FINISHED] * 3


def test_a_plan_with_nothing_to_do_is_finished_at_once():
    assert JobSearcher(Queue([])).suggest("x") == Searcher.FINISHED


def test_a_job_that_its_source_ends_is_stopped_and_recorded(store):
    (job, *_) = jobs(tiny_plan(), store)
    early = _EarlyEnd(Impatient(), store)
    trial = SimpleNamespace(config={"job": job, "key": job.key})
    assert early.on_trial_result(None, trial, {"epoch": 1}) == TrialScheduler.CONTINUE
    assert store.read_trial(job.key) is None
    assert early.on_trial_result(None, trial, {"epoch": 2}) == TrialScheduler.STOP
    row = store.read_trial(job.key)
    assert (row["status"], row["reason"]) == (STOPPED, "enough after 2")
    assert early.reasons == {job.key: "enough after 2"}


class Impatient(Queue):
    """Ends every job behind its second epoch."""

    def __init__(self):
        super().__init__([])

    def advanced(self, job, result):
        return f"enough after {result['epoch']}" if result["epoch"] >= 2 else None


def test_whatever_holds_a_terminal_or_a_database_can_be_pickled(store):
    class Terminal(Queue):
        def __init__(self):
            super().__init__([])

        def __reduce__(self):
            raise TypeError("a terminal cannot be pickled")

    source = Terminal()
    for made in (_Callback(source, store, source, {}), JobSearcher(source), _EarlyEnd(source, store)):
        pickle.dumps(made)
