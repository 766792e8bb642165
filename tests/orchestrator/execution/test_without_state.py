"""A finished trial whose state was deleted is attacked as before, and never trained again."""

from dataclasses import replace
from pathlib import Path

import pytest

import advsweep
from orchestrator.execution.job import Job
from orchestrator.execution.work import Work
from orchestrator.record.store import Store
from tests.orchestrator.execution.test_worker import evaluations, timeless
from tests.support.tiny_study import EPOCHS, finish, jobs, tiny_plan
from trainables.trial import Trial


@pytest.fixture(params=["Vanilla", "CAS", "CIFS"])
def job(request: pytest.FixtureRequest, store: Store) -> Job:
    made = tiny_plan()
    return jobs(made, store)[[t.arms["tiny/table"] for t in made.trials].index(request.param)]


def found(job: Job) -> object:
    """Return what the record holds of a job's trial, without times."""
    store = Store(job.storage)
    weights = {path.name: path.read_bytes() for path in Path(store.root, "trials", job.key).glob("*.safetensors")}
    rows = sorted(evaluations(store, job.key), key=lambda row: (row["evaluation"], row["head"]))
    history = [timeless(row) for row in store.read_epochs(job.key)]
    return timeless(store.read_trial(job.key)), history, [timeless(row) for row in rows], weights


def test_it_has_the_same_evaluations(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = replace(job, storage=str(tmp_path / "reference"))
    finish(reference)

    finish(replace(job, evaluations=()))
    advsweep.gc(job.storage, only=["states"], yes=True)
    assert Store(job.storage).read_state(job.key) is None
    monkeypatch.setattr(Trial, "step", lambda self: pytest.fail("it is trained again"))
    work = Work(job)
    assert (work.trial.epoch, work.trained) == (EPOCHS, True)
    while not work.advance().done:
        pass
    assert found(job) == found(reference)


def test_one_that_stopped_by_patience_stays_finished(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(jobs(tiny_plan(training__patience=1), store)[0], evaluations=())
    monkeypatch.setattr(Trial, "_select", lambda self: (0.5, 1 / self.epoch))  # the first epoch is the best
    finish(job)
    assert store.read_trial(job.key)["epochs"] == 2
    advsweep.gc(store.uri, only=["states"], yes=True)
    assert Work(job).trained
