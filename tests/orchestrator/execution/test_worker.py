"""One trial from its job to its record, stopped anywhere and resumed. Without Ray: the actor only passes calls on."""

import json
import os
import pickle
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from analysis.curves import accuracy_by_iterations, accuracy_by_restarts
from analysis.record.load import load
from analysis.record.names import newest
from analysis.record.schema import NEVER, Ending, Status
from orchestrator.cost.passes import evaluation_passes, measurement_passes, training_passes
from orchestrator.execution.job import Job, write_failure, write_stop
from orchestrator.execution.work import Work
from orchestrator.execution.worker import Worker
from orchestrator.planning.expansion import plan
from orchestrator.planning.plan import Evaluation, Measurement
from orchestrator.record.recorded import Recorded
from orchestrator.record.report import End
from orchestrator.record.store import Store
from search_spaces.factor import Level, choice
from search_spaces.study import Panel
from tests.support.tiny_study import DEFENSE, EPOCHS, RUNTIME, STUDY, finish, jobs, tiny_plan
from trainables.checkpoint import pack_state, unpack_state, unpack_weights
from trainables.config import (
    AFD,
    CW,
    FGSM,
    MIM,
    PGD,
    DeepFool,
    Dimensions,
    Natural,
    Soundness,
    Transfer,
    attack_key,
    canonical_attack,
    measure_key,
    measurement_key,
)
from trainables.trial import Diverged, Trial, build_source

#: Columns of times and durations, of names by chance, and of a trial's epochs, which are compared apart.
TIMES = {"created", "updated", "finished", "seconds", "images_per_second", "part", "history"}
TIMES |= {"wall_seconds", "peak_memory", "utilisation"}


def timeless(row):
    return {name: value for name, value in row.items() if name not in TIMES}


def evaluations(store, key):
    """Read every row of a trial's evaluations, with the outcomes of single examples."""
    names = store.trials()[key]
    found = {
        table: [row for name in newest(names, table) for row in store.read_table(key, name).to_pylist()]
        for table in ("evaluations", "outcomes")
    }
    outcomes = {(row["evaluation"], row["head"]): row for row in found["outcomes"]}
    return [{**row, **outcomes[row["evaluation"], row["head"]]} for row in found["evaluations"]]


def record(job):
    """Return everything that the record holds of a job's trial, without times."""
    store = Store(job.storage)
    folder = Path(store.root) / "trials" / job.key
    rows = sorted(evaluations(store, job.key), key=lambda row: (row["evaluation"], row["head"]))
    state = store.read_state(job.key)
    unpacked = state and unpack_state(state)
    return {
        "trial": timeless(store.read_trial(job.key)),
        "epochs": [timeless(row) for row in store.read_epochs(job.key)],
        "evaluations": [timeless(row) for row in rows],
        "weights": {path.name: path.read_bytes() for path in folder.glob("*.safetensors")},
        "state": unpacked and pack_state(unpacked["trial"]),
        "history": unpacked and [timeless(row) for row in unpacked["history"]],
    }


@pytest.fixture
def copy_of(tmp_path):
    """Makes copies of a job, each with a new storage."""
    return lambda job, name="copy_of": replace(job, storage=str(tmp_path / name))


@pytest.fixture(params=["Vanilla", "CAS", "CIFS"])
def any_job(request, store):
    """A job for each row of the tiny study."""
    made = tiny_plan()
    (index,) = (i for i, t in enumerate(made.trials) if t.arms["tiny/table"] == request.param)
    return jobs(made, store)[index]


def completely(job):
    """Return the job with complete evaluations."""
    every = [Evaluation.of(job.key, e.attack, e.checkpoint, e.label, complete=True) for e in job.evaluations]
    return replace(job, evaluations=tuple(every))


def at(job, **changed):
    """Return the job with other settings of its training."""
    config = job.config.model_copy(update={"training": job.config.training.model_copy(update=changed)})
    return replace(job, config=config)


@pytest.fixture
def first_is_best(monkeypatch):
    """Let every network become worse with each epoch."""
    monkeypatch.setattr(Trial, "_select", lambda self: (0.5, 1 / self.epoch))


# --- training and evaluation --------------------------------------------------------------------------------------------


def test_a_job_is_trained_and_evaluated_to_the_end(any_job):
    job = any_job
    results: list[Any] = []
    work = Work(job)
    while not results or not results[-1].done:
        results.append(work.advance())

    assert [r.epoch for r in results[:EPOCHS]] == [1, 2, 3]
    assert all(r.evaluations_left == len(job.evaluations) for r in results[:EPOCHS])
    assert (results[-1].epoch, results[-1].evaluations_left, results[-1].failure) == (EPOCHS, 0, None)
    evaluating = sum(evaluation_passes(job.config, e.attack) for e in job.evaluations)
    assert sum(r.passes for r in results) == pytest.approx(EPOCHS * training_passes(job.config) + evaluating)

    found = work.store.index([job.key])[job.key]
    assert found == Recorded(Status.FINISHED, "", EPOCHS, frozenset(e.key for e in job.evaluations))
    epochs = work.store.read_epochs(job.key)
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    assert [r.robust_accuracy for r in results[:EPOCHS]] == [row["robust_accuracy"] for row in epochs]
    assert [row["lr"] for row in epochs] == pytest.approx([0.05, 0.05, 0.005])


def test_the_trials_row_describes_the_training(job):
    before = datetime.now(UTC)
    work = finish(job)
    row = work.store.read_trial(job.key)
    assert (row["status"], row["reason"], row["epochs"], row["best_epoch"]) == (
        Status.FINISHED,
        "",
        EPOCHS,
        work.trial.best_epoch,
    )
    assert (row["seed"], row["device"]) == (0, "cpu")
    assert job.config.model_validate_json(row["config"]) == job.config
    assert json.loads(row["versions"])["torch"] == torch.__version__
    assert json.loads(row["versions"]).keys() == {"advsweep", "numerics", "torch", "python"}
    assert row["seconds"] == pytest.approx(sum(e["seconds"] for e in work.store.read_epochs(job.key)))
    assert before.timestamp() - 1 <= row["created"].timestamp() <= row["updated"].timestamp()


def test_metrics_of_an_objective_are_recorded(job):
    afd = replace(job, config=job.config.model_copy(update={"objective": AFD()}))
    accuracies = [row["discriminator_accuracy"] for row in finish(afd).store.read_epochs(job.key)]
    assert len(accuracies) == EPOCHS
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)


@pytest.mark.parametrize("complete", [False, True])
def test_every_evaluation_is_recorded_once_for_each_head(any_job, complete):
    any_job = completely(any_job) if complete else any_job
    work = finish(any_job)
    rows = evaluations(work.store, any_job.key)
    heads = ["final", "1", "2"] if complete and any_job.config.module.name != "none" else ["final"]
    assert sorted((r["evaluation"], r["head"]) for r in rows) == sorted((e.key, h) for e in any_job.evaluations for h in heads)
    wanted = {e.key: e for e in any_job.evaluations}
    for row in rows:
        evaluation = wanted[row["evaluation"]]
        assert row["checkpoint"] == evaluation.checkpoint
        assert row["epoch"] == {"best": work.trial.best_epoch, "last": EPOCHS}[evaluation.checkpoint]
        assert (row["attack_name"], row["attack_spec"]) == (evaluation.attack.name, evaluation.attack.model_dump_json())
        assert row["beta_atk"] == getattr(evaluation.attack, "beta_atk", "")
        assert len(row["ranks"]) == 64
        assert row["accuracy"] == np.mean(np.array(row["ranks"]) == 0)
        assert row["complete"] is complete
        assert row["distance"] is None
        if row["head"] != "final" or evaluation.attack.name == "natural":
            assert row["broken"] is None
        else:
            assert row["accuracy"] == np.mean(np.array(row["broken"]) == NEVER)
        right = np.array(row["ranks"]) == 0
        expected = [right[work.trial.test_labels(evaluation.attack) == c].mean() for c in range(10)]
        assert row["class_accuracy"] == pytest.approx(expected, rel=1e-6)


def test_incomplete_evaluations_have_the_accuracies_of_complete_ones(any_job, copy_of):
    finish(any_job)
    whole = completely(copy_of(any_job))
    finish(whole)

    def known(job):
        rows = [row for row in evaluations(Store(job.storage), job.key) if row["head"] == "final"]
        return {(row["attack"], row["checkpoint"]): (row["accuracy"], row["broken"]) for row in rows}

    assert known(any_job) == known(whole)


def test_a_complete_evaluation_covers_an_incomplete_one(job):
    work = finish(completely(job))
    before = evaluations(work.store, job.key)
    again = Work(job)
    assert again.advance().done
    assert evaluations(work.store, job.key) == before


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("attack", ["pgd", "cw", "mim"])
def test_a_longer_attack_covers_those_that_are_its_beginning(job, copy_of, monkeypatch, attack, complete):
    """The longest attack is run once, and every row is as if each attack had been run alone, whose lengths it knows."""
    finish(job)
    sizes = [{"iterations": 4}, {"iterations": 9}, {"iterations": 6}]
    if attack != "mim":
        sizes += [{"iterations": 4, "restarts": 3}, {"iterations": 4, "restarts": 2}]
    known = {"pgd": PGD, "cw": CW, "mim": MIM}[attack]
    wanted = [
        Evaluation.of(job.key, known(eps=0.3, step=0.02, beta_atk=beta, **size), "last", "new", complete)
        for beta in ("2", "inf-1")
        for size in sizes
    ]
    alone = []
    for i, evaluation in enumerate(wanted):
        there = copy_of(replace(job, evaluations=(evaluation,)), f"alone{i}")
        alone += evaluations(finish(there).store, job.key)

    attacked = []
    evaluate = Trial.evaluate
    monkeypatch.setattr(Trial, "evaluate", lambda self, attack, *a: attacked.append(attack) or evaluate(self, attack, *a))
    work = finish(replace(job, evaluations=tuple(wanted)))
    of_heads = {(row["evaluation"], row["head"]): timeless(row) for row in evaluations(work.store, job.key)}
    each = {(row["evaluation"], row["head"]): timeless(row) for row in alone}
    known_lengths = {key: row.pop("by_steps") for key, row in of_heads.items()}
    for key, row in each.items():
        assert ((known_lengths[key] or [])[-1:], of_heads[key]) == ((row.pop("by_steps") or []), row)
    # The most steps and the most restarts, for each beta_atk; of complete ones each number of restarts.
    assert len(attacked) == 2 * (1 if attack == "mim" else 3 if complete else 2)
    found = {key: row for (key, head), row in of_heads.items() if head == "final"}
    lengths = {key: of for (key, head), of in known_lengths.items() if head == "final"}

    rows = [row for row in found.values() if row["beta_atk"] == "2" and row["attack_name"] == attack]
    by_size = {tuple(json.loads(r["attack_spec"]).get(f, 1) for f in ("iterations", "restarts")): r for r in rows}
    shorter = {(9, 1): [(4, 1), (6, 1), (9, 1)], (6, 1): [(4, 1), (6, 1)], (4, 3): [(4, 1), (4, 2), (4, 3)]}
    for size in by_size.keys() & shorter.keys():
        there = [
            {"steps": k * r, "any": by_size[k, r]["accuracy"], "last": by_size[k, r]["last_accuracy"]} for k, r in shorter[size]
        ]
        assert lengths[by_size[size]["evaluation"]] == there
    curve = accuracy_by_iterations(np.array(by_size[9, 1]["broken"]), 9)
    assert curve[[4, 6, 9]] == pytest.approx([by_size[k, 1]["accuracy"] for k in (4, 6, 9)])
    if attack != "mim":
        curve = accuracy_by_restarts(np.array(by_size[4, 3]["broken"]), 4, 3)
        assert curve == pytest.approx([by_size[4, r]["accuracy"] for r in (1, 2, 3)])


def test_an_attack_can_be_run_on_a_sample_of_the_test_set(job):
    finish(job)
    attack = PGD(eps=0.1, step=0.05, iterations=2, beta_atk="2")
    few = attack.model_copy(update={"examples": 20})
    work = finish(replace(job, evaluations=tuple(Evaluation.of(job.key, a, "last", "new", True) for a in (attack, few))))
    rows = {row["attack"]: row for row in evaluations(work.store, job.key) if row["complete"] and row["head"] == "final"}
    labels = work.trial.test_labels(few)
    assert len(labels) == len(rows[attack_key(few)]["ranks"]) == 20
    right = np.array(rows[attack_key(few)]["ranks"]) == 0
    expected = [right[labels == c].mean() for c in range(10)]
    assert rows[attack_key(few)]["class_accuracy"] == pytest.approx(expected, rel=1e-6)
    assert len(rows[attack_key(attack)]["ranks"]) == 64


def test_distances_are_recorded(job):
    finish(job)
    attack = DeepFool(eps=0.1, iterations=3)
    work = finish(replace(job, evaluations=(Evaluation.of(job.key, attack, "last", "new"),)))
    (row,) = [row for row in evaluations(work.store, job.key) if row["attack_name"] == "deepfool"]
    distance = np.array(row["distance"])
    assert row["accuracy"] == np.mean(distance > np.float32(0.1))
    assert row["broken"] is None
    assert row["median_distance"] == np.median(distance)
    (read,) = load(job.storage).evaluations.query("attack_name == 'deepfool'").itertuples()
    assert (load(job.storage).outcomes.of(read).distance == distance).all()


# --- transferred --------------------------------------------------------------------------------------------------------


def transferred(job, source, checkpoint="last"):
    attack = Transfer(source=source, checkpoint=checkpoint, attack=PGD(eps=0.3, step=0.1, iterations=5))
    return replace(job, evaluations=(Evaluation.of(job.key, attack, "last", "transfer", complete=True),))


def test_an_attack_is_transferred_from_another_trial(store, first_is_best):
    source, job = (jobs(tiny_plan(training__lr=0.3), store)[i] for i in (0, 1))
    finish(source)
    finish(job)
    found = {}
    for checkpoint, epoch in (("best", 1), ("last", EPOCHS)):
        work = finish(transferred(job, source.key, checkpoint))
        evaluation = work.job.evaluations[0]
        (row,) = (r for r in evaluations(store, job.key) if (r["evaluation"], r["head"]) == (evaluation.key, "final"))
        there = build_source(source.config, unpack_weights(store.read_weights(source.key, epoch)), work.trial.device)
        weights = unpack_weights(store.read_weights(job.key, EPOCHS))
        expected = work.trial.evaluate(evaluation.attack, weights, {(source.key, checkpoint): there}, complete=True)
        assert row["ranks"] == expected.ranks["final"].tolist()
        found[checkpoint] = row["ranks"]
    assert found["best"] != found["last"]


def test_a_missing_source_leaves_out_its_evaluation_alone(store):
    source, job = (jobs(tiny_plan(), store)[i] for i in (0, 1))
    finish(job)
    before = record(job)
    wanted = transferred(job, "0" * 16)
    plain = Evaluation.of(job.key, FGSM(eps=0.02, beta_atk="2"), "last", "new")
    work = Work(replace(wanted, evaluations=(*wanted.evaluations, plain)))
    result = work.advance()
    assert result.not_run == {"transfer (last)": f"attack.source = {'0' * 16}: there is no such trial in the storage"}
    assert (result.failure, result.done, result.evaluations_left) == (None, True, 0)
    assert result.passes == evaluation_passes(job.config, plain.attack)
    assert record(job)["trial"] == before["trial"]
    assert store.recorded(job.key).evaluations == {plain.key} | {row["evaluation"] for row in before["evaluations"]}

    Work(source).advance()
    (reason,) = Work(transferred(job, source.key)).advance().not_run.values()
    assert reason == f"attack.source = {source.key}: that trial is unfinished (epoch 1 of {EPOCHS})"
    # As soon as the source is there, the same job is done.
    finish(source)
    assert Work(transferred(job, source.key)).advance().not_run == {}
    assert transferred(job, source.key).evaluations[0].key in store.recorded(job.key).evaluations


@pytest.fixture
def steep(monkeypatch):
    """Let FGSM and a measure raise this error; returns a function that sets it, None for none."""
    errors: list[Exception] = []

    def broken(name, of):
        whole = getattr(Trial, name)

        def method(self, spec, *arguments):
            if errors and isinstance(spec, of):
                raise errors[-1]
            return whole(self, spec, *arguments)

        monkeypatch.setattr(Trial, name, method)

    broken("evaluate", FGSM)
    broken("measure", Dimensions)
    return lambda error: errors.append(error) if error else errors.clear()


def test_an_attack_or_measure_that_fails_is_a_failure_of_its_own(job, steep):
    measures = measuring(job, Dimensions(), Soundness(), checkpoints=("last",)).measurements
    job = replace(job, measurements=measures)
    steep(ValueError("Traceback\ntoo steep"))
    work = Work(job)
    reports: list[Any] = []
    while not reports or not reports[-1].done:
        reports.append(work.advance())
    failed = {name: why for report in reports for name, why in report.failed.items()}
    assert failed.keys() == {"FGSM (last)", "FGSM (best)", "dimensions (last)"}
    assert {*failed.values()} == {"ValueError: too steep"}
    assert reports[-1].failure is None
    assert (reports[-1].evaluations_left, reports[-1].measurements_left) == (0, 0)

    recorded = work.store.recorded(job.key)
    broken = {e.key for e in job.evaluations if e.label == "FGSM"}
    assert recorded.status == Status.FINISHED
    assert recorded.evaluations == {e.key for e in job.evaluations} - broken
    assert {failure.name: failure.reason for failure in recorded.failures.values()} == failed
    assert recorded.failures.keys() == broken | {job.measurements[0].key}
    assert recorded.measurements == {job.measurements[1].key}

    # The same job again, without the fault, makes what is missing.
    steep(None)
    finish(job)
    recorded = work.store.recorded(job.key)
    assert (recorded.failures, recorded.evaluations) == ({}, {e.key for e in job.evaluations})


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: device-side assert triggered")]
)
def test_an_error_that_another_try_may_not_have_is_the_drivers_until_it_gives_up(job, steep, error):
    steep(error)
    for _ in range(2):
        with pytest.raises(type(error)):
            finish(job)
    failed = Store(job.storage).recorded(job.key).failures
    broken = {e.key for e in job.evaluations if e.label == "FGSM"}
    assert failed.keys() < broken, "of one checkpoint: the other is not reached"
    assert all(str(error) in failure.reason for failure in failed.values())

    report = Work(replace(job, given_up=frozenset(broken))).advance()
    assert report.failed == {failure.name: failure.reason for failure in failed.values()}
    assert (report.done, report.failure) == (True, None)
    recorded = Store(job.storage).recorded(job.key)
    assert recorded.evaluations == {e.key for e in job.evaluations} - broken
    assert (recorded.status, recorded.failures) == (Status.FINISHED, failed)


def test_a_full_disk_is_no_failure_of_an_attack(job, steep):
    steep(OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        finish(job)
    assert Store(job.storage).recorded(job.key).failures == {}


def test_a_source_that_failed_or_lost_its_weights_is_reported(store):
    source, job = (jobs(tiny_plan(), store)[i] for i in (0, 1))
    finish(source)
    finish(job)
    wanted = transferred(job, source.key)
    finished = store.read_trial(source.key)
    store.write_trial({**finished, "status": Status.FAILED, "reason": "diverged", "epochs": 1})
    (reason,) = Work(wanted).advance().not_run.values()
    assert reason == f"attack.source = {source.key}: that trial is failed (epoch 1 of {EPOCHS}: diverged)"
    store.write_trial(finished)
    store.keep_weights(source.key, ())
    (reason,) = Work(wanted).advance().not_run.values()
    assert reason == f"the last checkpoint of attack.source = {source.key}, epoch {EPOCHS}, is not in the storage"


def test_a_source_on_other_data_is_reported(store):
    source, job = (jobs(tiny_plan(), store)[i] for i in (0, 1))
    finish(job)
    other = source.config.model_copy(update={"data": source.config.data.model_copy(update={"dataset": "mnist"})})
    store.write_trial({**store.read_trial(job.key), "trial": source.key, "config": other.model_dump_json()})
    (reason,) = Work(transferred(job, source.key)).advance().not_run.values()
    assert reason == f"attack.source = {source.key}: that trial is on mnist, not on digits"


def test_an_evaluation_uses_its_own_checkpoint(job, first_is_best):
    work = finish(job)
    assert work.trial.best_epoch == 1
    rows = {(r["evaluation"], r["head"]): r["ranks"] for r in evaluations(work.store, job.key)}
    differ = 0
    for evaluation in job.evaluations:
        epoch = {"best": work.trial.best_epoch, "last": EPOCHS}[evaluation.checkpoint]
        weights = unpack_weights(work.store.read_weights(job.key, epoch))
        ranks = Trial(job.config, RUNTIME).evaluate(evaluation.attack, weights).ranks
        assert {head: rows[evaluation.key, head] for head in ranks} == {head: r.tolist() for head, r in ranks.items()}
        other = next(e for e in job.evaluations if e.attack == evaluation.attack and e.checkpoint != evaluation.checkpoint)
        differ += rows[evaluation.key, "final"] != rows[other.key, "final"]
    assert differ


@pytest.mark.parametrize(("epochs", "runs"), [(1, 1), (EPOCHS, 2)])
def test_if_the_best_checkpoint_is_the_last_one_a_single_run_covers_both(job, first_is_best, monkeypatch, epochs, runs):
    job = at(job, epochs=epochs)
    attacked = []
    evaluate = Trial.evaluate
    monkeypatch.setattr(Trial, "evaluate", lambda self, attack, *a: attacked.append(attack) or evaluate(self, attack, *a))
    work = finish(job)
    attacks = [e.attack for e in job.evaluations if e.checkpoint == "last"]
    assert sorted(map(repr, attacked)) == sorted(map(repr, attacks * runs))
    assert len({r["evaluation"] for r in evaluations(work.store, job.key)}) == 2 * len(attacks)


def test_the_best_weights_are_kept_with_the_last_state_and_with_the_last_weights_at_the_end(job, first_is_best):
    work = Work(job)
    for epoch in range(1, EPOCHS + 1):
        work.advance()
        names = [name for name in work.store.trials()[job.key] if name.table in {"weights", "state"}]
        last = ("state", epoch) if epoch < EPOCHS else ("weights", EPOCHS)
        assert {(name.table, name.order) for name in names} == {("weights", 1), last}


def test_evaluations_are_recorded_at_once_and_reported_every_few_seconds(job, monkeypatch):
    monkeypatch.setattr("orchestrator.execution.work.REPORT_SECONDS", 1e-3)
    work = Work(job)
    for _ in range(EPOCHS):
        work.advance()
    left = [work.advance().evaluations_left]
    while left[-1]:
        done = work.store.index([job.key])[job.key].evaluations
        assert len(done) == len(job.evaluations) - left[-1]
        left.append(work.advance().evaluations_left)
    assert len(left) > 2
    assert len([n for n in os.listdir(f"{work.store.root}/trials/{job.key}") if n.startswith("evaluations-")]) == 1


# --- measured -----------------------------------------------------------------------------------------------------------


def measuring(job, *measures, checkpoints=("last", "best")):
    """Return the job with these measurements and no evaluations."""
    found = (Measurement(measurement_key(job.key, c, m), c, m) for m in measures for c in checkpoints)
    return replace(job, evaluations=(), measurements=tuple(found))


def test_every_measurement_is_recorded_with_its_arrays(job, first_is_best):
    asked = measuring(job, Soundness(), Dimensions(attack=FGSM(eps=0.1, beta_atk="2")))
    work = finish(asked)
    rows = {(row["measurement"], row["array"]): row for row in work.store.read_measures(job.key)}
    expected = set()
    for measurement in asked.measurements:
        epoch = {"best": 1, "last": EPOCHS}[measurement.checkpoint]
        weights = unpack_weights(work.store.read_weights(job.key, epoch))
        for name, values in Trial(job.config, RUNTIME).measure(measurement.measure, weights).items():
            row = rows[measurement.key, name]
            expected.add((measurement.key, name))
            assert (row["trial"], row["checkpoint"], row["epoch"]) == (job.key, measurement.checkpoint, epoch)
            assert (row["measure_name"], row["measure"]) == (measurement.measure.name, measure_key(measurement.measure))
            assert row["measure_spec"] == measurement.measure.model_dump_json()
            np.testing.assert_array_equal(row["values"], values)
    assert rows.keys() == expected
    found = work.store.recorded(job.key)
    assert (found.status, found.measurements) == (Status.FINISHED, {m.key for m in asked.measurements})


def test_if_the_best_checkpoint_is_the_last_one_it_is_measured_once(job, monkeypatch):
    measured, measure = [], Trial.measure
    monkeypatch.setattr(Trial, "measure", lambda self, spec, *a: measured.append(spec) or measure(self, spec, *a))
    work = finish(measuring(at(job, epochs=1), Soundness()))
    assert measured == [Soundness()]
    assert {row["checkpoint"] for row in work.store.read_measures(job.key)} == {"last", "best"}


def test_measurements_come_last_and_are_counted(job, monkeypatch):
    monkeypatch.setattr("orchestrator.execution.work.REPORT_SECONDS", 1e-3)
    work = Work(replace(measuring(job, Soundness(), checkpoints=("last",)), evaluations=job.evaluations[:1]))
    results = [work.advance() for _ in range(EPOCHS)]
    results += [work.advance(), work.advance()]
    assert [(r.evaluations_left, r.measurements_left) for r in results] == [(1, 1)] * EPOCHS + [(0, 1), (0, 0)]
    assert [r.done for r in results] == [False] * (EPOCHS + 1) + [True]
    assert results[-1].passes == measurement_passes(job.config, Soundness())


def test_a_recorded_measurement_is_not_made_again(job, monkeypatch):
    asked = measuring(job, Soundness(), checkpoints=("last",))
    finish(asked)
    more = measuring(job, Soundness(), Dimensions(), checkpoints=("last",))
    measured, measure = [], Trial.measure
    monkeypatch.setattr(Trial, "measure", lambda self, spec, *a: measured.append(spec) or measure(self, spec, *a))
    work = finish(more)
    assert measured == [Dimensions()]
    assert work.store.recorded(job.key).measurements == {m.key for m in more.measurements}
    assert Work(more).unmeasured == []


# --- stopped and resumed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", range(EPOCHS + 1))
def test_resumed_after_any_epoch_a_trial_is_bit_for_bit_the_same(any_job, copy_of, epochs):
    reference = copy_of(any_job)
    finish(reference)

    work = Work(any_job)
    for _ in range(epochs):
        work.advance()
    del work
    work = Work(any_job)
    assert work.trial.epoch == epochs
    assert Store(any_job.storage).read_trial(any_job.key)["status"] == (
        Status.FINISHED if epochs == EPOCHS else Status.UNFINISHED
    )
    while not work.advance().done:
        pass
    assert record(any_job) == record(reference)


def test_stopped_after_every_epoch_and_every_evaluation_a_trial_is_the_same(job, copy_of, monkeypatch):
    reference = copy_of(job)
    finish(reference)
    monkeypatch.setattr("orchestrator.execution.work.REPORT_SECONDS", 1e-3)
    starts = 1
    while not Work(job).advance().done:
        starts += 1
    assert starts > EPOCHS + 2
    assert record(job) == record(reference)


class Killed(BaseException):
    """Stands for SIGKILL: no code of a worker catches it."""


@pytest.fixture
def killer(monkeypatch):
    """Raises Killed before the n-th change of a storage."""

    class Killer:
        at = -1

        def wrap(self, change):
            def changed(*args):
                self.at -= 1
                if self.at == 0:
                    raise Killed
                change(*args)

            return changed

    found = Killer()
    for name in ("write", "keep_weights"):
        monkeypatch.setattr(Store, name, found.wrap(getattr(Store, name)))
    return found


def test_killed_between_any_two_writes_a_trial_is_the_same(job, copy_of, killer):
    job = replace(at(job, epochs=2), evaluations=job.evaluations[:4])
    reference = copy_of(job)
    finish(reference)
    expected = record(reference)

    for n in range(1, 100):
        struck = copy_of(job, f"killed-{n}")
        killer.at = n
        try:
            finish(struck)
        except Killed:
            finish(struck)
        else:
            break
        assert record(struck) == expected, f"killed at write {n}"
    # a row at the start; for each epoch weights, state, row and deletions; then the evaluations, with outcomes
    assert n > 1 + 2 * 4 + 1, n


def test_weights_that_are_no_longer_the_best_are_deleted(job, monkeypatch):
    """Weights of epochs that were the best before would fill the disk."""
    monkeypatch.setattr(Trial, "_select", lambda self: (0.5, self.epoch / 10))
    work = Work(job)
    for epoch in range(1, EPOCHS + 1):
        work.advance()
        assert [name.order for name in work.store.trials()[job.key] if name.table == "weights"] == [epoch]


class States:
    """The epochs whose states were written, and a clock that moves by an epoch's seconds with each."""

    def __init__(self, monkeypatch, seconds):
        self.now = 0.0
        self.epochs: list[int] = []
        write, step = Store.write_state, Trial.step

        def stepped(trial):
            self.now += seconds
            return step(trial)

        monkeypatch.setattr(Trial, "step", stepped)
        monkeypatch.setattr("orchestrator.execution.checkpoints.time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(Store, "write_state", lambda *given: self.epochs.append(given[2]) or write(*given))


def finish_seldom_saved(job):
    """Train a job to its end, of which a state is due every minute and written before the next epoch ends."""
    work = Work(replace(job, evaluations=(), runtime=replace(RUNTIME, save_seconds=60)))
    while not work.advance().done:
        work.checkpoints.wait()


@pytest.mark.parametrize(("seconds", "epochs"), [(10.0, [6]), (30.0, [2, 4, 6]), (100.0, [1, 2, 3, 4, 5, 6])])
def test_a_state_is_written_after_an_epoch_once_its_time_has_come(job, monkeypatch, seconds, epochs):
    states = States(monkeypatch, seconds)
    finish_seldom_saved(at(job, epochs=7))
    assert states.epochs == epochs


def test_slow_writing_makes_states_seldom(job, monkeypatch):
    states = States(monkeypatch, 30.0)
    write = Store.write_state

    def slowly(*given):
        states.now += 6  # of which twenty times are four epochs
        write(*given)

    monkeypatch.setattr(Store, "write_state", slowly)
    finish_seldom_saved(at(job, epochs=12))
    assert states.epochs == [2, 6, 10]


def test_killed_between_two_states_a_trial_goes_on_from_the_last(job, copy_of, monkeypatch, first_is_best):
    """The record shows more epochs than the state then; they are trained again, with the same numbers."""
    seldom = replace(at(job, epochs=6), runtime=replace(RUNTIME, save_seconds=60))
    reference = copy_of(seldom)
    finish(reference)
    with monkeypatch.context() as during:
        states = States(during, 30.0)
        work = Work(seldom)
        for _ in range(5):
            work.advance()
            work.checkpoints.wait()
        assert states.epochs == [2, 4]
    store = Store(job.storage)
    assert store.read_trial(job.key)["epochs"] == 5
    work = Work(seldom)
    assert (work.trial.epoch, work.trial.best_epoch) == (4, 1)
    finish(seldom)
    assert record(seldom) == record(reference)


def test_a_job_that_is_left_between_two_epochs_is_saved(job):
    seldom = replace(job, runtime=replace(RUNTIME, save_seconds=60))
    actor = Worker({"job": seldom})
    actor.step()
    actor.step()
    assert Store(job.storage).read_state(job.key) is None
    actor.stop()
    assert Work(seldom).trial.epoch == 2


def test_a_job_that_is_left_within_an_epoch_is_not_saved(job, monkeypatch):
    """Its network has been trained further than its number of epochs says."""
    seldom = replace(job, runtime=replace(RUNTIME, save_seconds=60))
    actor = Worker({"job": seldom})
    actor.step()
    monkeypatch.setattr(Trial, "_select", lambda self: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        actor.step()
    actor.stop()
    assert Store(job.storage).read_state(job.key) is None


def test_an_error_in_writing_a_state_is_raised(job, monkeypatch):
    monkeypatch.setattr(Store, "write_state", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space left"):
        Work(job).advance()


def test_an_evaluation_that_another_process_finished_is_not_run_again(job):
    """A retry gets the same job as the process that died."""
    first = finish(job)
    before = evaluations(first.store, job.key)
    again = Work(job)
    assert again.remaining == []
    assert again.advance().done
    assert evaluations(first.store, job.key) == before


def test_a_resumed_trial_keeps_its_time_of_creation(job):
    created = Work(job).store.read_trial(job.key)["created"]
    assert finish(job).store.read_trial(job.key)["created"] == created


def test_a_new_attack_on_a_finished_trial_trains_nothing(job, monkeypatch):
    finish(job)
    before = record(job)
    attack = canonical_attack(FGSM(eps=0.02, beta_atk="10"), job.config.module)
    new = [Evaluation.of(job.key, attack, c, "new") for c in ("last", "best")]
    monkeypatch.setattr(Trial, "step", lambda self: pytest.fail("trained"))
    work = Work(replace(job, evaluations=tuple(new)))
    result = work.advance()
    assert (result.done, result.epoch) == (True, EPOCHS)
    assert result.passes == 2 * evaluation_passes(job.config, attack)

    after = record(job)
    old = [row for row in after["evaluations"] if row["evaluation"] not in {e.key for e in new}]
    assert after | {"evaluations": old} == before
    assert len(after["evaluations"]) == len(old) + 2
    assert work.store.index([job.key])[job.key].status == Status.FINISHED


def test_a_trained_trial_with_nothing_left_is_finished(job):
    work = finish(job)
    write_failure(work.store, job, End(Ending.PROCESS_DIED, "its process died"))
    again = Work(replace(job, evaluations=()))
    assert again.advance().done
    assert again.store.read_trial(job.key)["status"] == Status.FINISHED


# --- failures -----------------------------------------------------------------------------------------------------------


def test_a_trial_that_diverges_is_recorded_with_its_reason(job):
    job = at(job, lr=1e30)
    work = Work(job)
    result = work.advance()
    assert result.done
    assert result.failure.ending is Ending.DIVERGED
    assert result.failure.reason.startswith("diverged at epoch 1: ")
    assert (result.epoch, result.passes) == (0, 0.0)
    assert (result.natural_accuracy, result.robust_accuracy) == (None, None)
    row = work.store.read_trial(job.key)
    assert (row["status"], row["reason"], row["epochs"], row["best_epoch"]) == (Status.FAILED, result.failure.reason, 0, 0)
    assert row["ending"] is Ending.DIVERGED
    assert work.store.read_epochs(job.key) == []
    assert work.store.read_state(job.key) is None


def test_a_trial_that_diverges_later_keeps_its_epochs(job, monkeypatch):
    work = Work(job)
    work.advance()
    good = record(job)
    monkeypatch.setattr(Trial, "_train", lambda self: (float("nan"), 0.0, 1))
    result = work.advance()
    monkeypatch.undo()
    assert (result.failure.reason, result.epoch, result.done) == ("diverged at epoch 2: the loss is nan", 1, True)
    after = record(job)
    assert (after["trial"].pop("ending"), good["trial"].pop("ending")) == (Ending.DIVERGED, None)
    assert (after["trial"].pop("status"), after["trial"].pop("reason")) == (Status.FAILED, result.failure.reason)
    assert (good["trial"].pop("status"), good["trial"].pop("reason")) == (Status.UNFINISHED, "")
    assert after == good


def test_weights_that_are_not_finite_are_divergence_too(job, monkeypatch):
    trial = Trial(job.config, RUNTIME)
    with torch.no_grad():
        next(iter(trial._network.parameters())).fill_(float("inf"))
    monkeypatch.setattr(Trial, "_train", lambda self: (1.0, 0.0, 1))
    with pytest.raises(Diverged, match=r"^diverged at epoch 1: a weight is not finite$"):
        trial.step()


def test_a_trial_that_diverged_diverges_again(job):
    job = at(job, lr=1e30)
    first = Work(job).advance().failure
    again = Work(job)
    row = again.store.read_trial(job.key)
    assert (row["status"], row["reason"]) == (Status.UNFINISHED, "")  # resumed
    assert again.advance().failure == first
    assert again.store.read_trial(job.key)["status"] == Status.FAILED


def test_a_failed_trial_is_resumed_from_its_last_checkpoint(job, copy_of):
    reference = copy_of(job)
    finish(reference)
    work = Work(job)
    work.advance()
    write_failure(work.store, job, End(Ending.OUT_OF_MEMORY, "out of memory"))
    row = work.store.read_trial(job.key)
    assert (row["status"], row["reason"], row["epochs"], row["best_epoch"]) == (Status.FAILED, "out of memory", 1, 1)
    assert (row["device"], row["seconds"] > 0) == ("cpu", True)

    work = Work(job)
    assert work.trial.epoch == 1
    assert (work.store.read_trial(job.key)["status"], work.store.read_trial(job.key)["reason"]) == (Status.UNFINISHED, "")
    while not work.advance().done:
        pass
    assert record(job) == record(reference)


def test_an_early_stopped_trial_is_resumed_from_its_last_checkpoint(job, copy_of):
    reference = finish(copy_of(job)).job
    work = Work(job)
    work.advance()
    write_stop(work.store, job, "stopped early after epoch 1 of 3")
    row = work.store.read_trial(job.key)
    assert (row["status"], row["reason"], row["epochs"]) == (Status.EARLY_STOPPED, "stopped early after epoch 1 of 3", 1)
    assert Work(job).trial.epoch == 1
    assert work.store.read_trial(job.key)["status"] == Status.UNFINISHED
    finish(job)
    assert record(job) == record(reference)


def test_a_trial_that_never_began_can_be_recorded_as_failed(job, store):
    write_failure(store, job, End(Ending.PROCESS_DIED, "its process or node died 3 times: no memory"))
    row = store.read_trial(job.key)
    assert (row["status"], row["reason"]) == (Status.FAILED, "its process or node died 3 times: no memory")
    assert (row["epochs"], row["best_epoch"], row["device"], row["seconds"]) == (0, 0, "", 0.0)
    assert store.index([job.key]) == {job.key: Recorded(Status.FAILED, row["reason"], 0, ending=Ending.PROCESS_DIED)}
    assert finish(job).store.read_trial(job.key)["status"] == Status.FINISHED


def test_an_error_in_an_evaluation_is_raised_and_loses_nothing(job, copy_of, monkeypatch):
    reference = copy_of(job)
    finish(reference)
    evaluate = Trial.evaluate

    def failing(self, attack, *arguments):
        if attack != Natural():
            raise MemoryError
        return evaluate(self, attack, *arguments)

    monkeypatch.setattr(Trial, "evaluate", failing)
    with pytest.raises(MemoryError):
        finish(job)
    monkeypatch.undo()
    assert len(evaluations(Store(job.storage), job.key)) == 2  # natural: both checkpoints
    finish(job)
    assert record(job) == record(reference)


# --- under Tune ---------------------------------------------------------------------------------------------------------


def test_a_job_can_be_pickled(job):
    assert pickle.loads(pickle.dumps(job)) == job


def test_a_job_holds_what_a_planned_trial_lacks(store):
    planned = plan([STUDY], "demo", seeds=1, measures=(Panel("soundness", {"name": "soundness"}),)).trials[1]
    evaluations, measurements = planned.evaluations, planned.measurements
    done = Recorded(Status.FINISHED, "", EPOCHS, frozenset([evaluations[0].key]), frozenset([measurements[0].key]))
    expected = Job(store.uri, planned.key, planned.config, evaluations[1:], measurements[1:], RUNTIME)
    assert Job.of(replace(planned, recorded=done), store, RUNTIME) == expected


def test_a_reused_actor_keeps_nothing_of_the_job_before(store, tmp_path):
    some = jobs(tiny_plan(studies=(STUDY,)), store)
    actor = Worker({"job": some[0]})
    while not actor.step()["done"]:
        pass
    assert actor.reset_config({"job": some[1]})
    while not actor.step()["done"]:
        pass
    actor.stop()
    alone = replace(some[1], storage=str(tmp_path / "alone"))
    finish(alone)
    assert record(some[1]) == record(alone)


def test_an_actor_that_starts_late_and_is_not_needed_writes_nothing(job, store):
    finish(job)
    before = store.read_trial(job.key)
    write_stop(store, job, "stopped early")
    stopped = store.read_trial(job.key)
    late = Worker({"job": job})
    assert store.read_trial(job.key) == stopped != before
    late.reset_config({"job": job})
    late.stop()
    assert store.read_trial(job.key) == stopped


# --- prefixes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("defense", ["Vanilla", "CIFS", "AFD"])
def test_a_prefix_that_a_longer_training_passes_through_is_recorded_as_if_trained_alone(store, copy_of, defense):
    afd = Level("AFD", {"objective.name": "afd", "objective.hidden": 8, "objective.lr_encoder": 0.01})
    defenses = replace(DEFENSE, levels=(*DEFENSE.levels, afd)).only(defense)
    stages = choice("stage", "epoch", tuple(Level(str(n), {"training.epochs": n}) for n in (1, 2, 3)), "3")
    made = tiny_plan(studies=(replace(STUDY, factors=(defenses, stages)),))
    *short, longest = jobs(made, store)
    (trials,) = made.prefixes.values()
    assert [trial.key for trial in trials] == [job.key for job in short]
    finish(Job.of(made.trials[-1], store, RUNTIME, trials))
    for job in short:
        finish(alone := copy_of(job))
        assert store.recorded(job.key).status == Status.FINISHED
        work = finish(job)  # it only has to be evaluated
        assert len(work.history) == job.config.training.epochs
        assert record(job) == record(alone)
    finish(alone := copy_of(longest))
    assert record(longest) == record(alone)
