"""A figure's data: every value of every trial, with the labels of its factors."""

from dataclasses import replace

import numpy as np

from analysis.figures import frames
from analysis.record.schema import NEVER
from tests.support.handmade_record import Storage, arm, manifest


def test_epochs_of_every_trial(storage: Storage) -> None:
    for trial, losses in (("a0", (3.0, 2.0)), ("a1", (5.0,))):
        storage.trial(trial, history=[{"epoch": i + 1, "train_loss": loss, "lr": 0.1} for i, loss in enumerate(losses)])
    study = replace(manifest(arm("CAS", ["a0", "a1"])), by_epoch=("train_loss",))
    found = frames(storage.load(), study, "last")["by epoch"]
    assert list(found.columns) == [*study.factors, "seed", "epoch", "train_loss"]
    assert found[["seed", "epoch", "train_loss"]].to_numpy().tolist() == [[0, 1, 3], [0, 2, 2], [1, 1, 5]]
    assert set(found[study.factors[0]]) == {"CAS"}


def test_arrays_of_every_trial_at_their_indices(storage: Storage) -> None:
    values = np.arange(6.0).reshape(2, 3)
    for trial in ("a0", "a1"):
        storage.trial(trial)
        storage.measured(trial, "matrix", (2, 3), values.ravel().tolist(), measure="k")
        storage.measured(trial, "count", (), [7.0], measure="k")
        storage.measured(trial, "matrix", (2, 3), [9.0] * 6, measure="k", checkpoint="best")
        storage.measured(trial, "matrix", (2, 3), [9.0] * 6, measure="other")
    study = manifest(replace(arm("CAS", ["a0", "a1"]), pictures={"gradients": "k"}))
    (title,) = found = frames(storage.load(), study, "last")
    frame = found[title]
    assert title == "gradients"
    for seed in (0, 1):
        matrix = frame[(frame["seed"] == seed) & (frame["array"] == "matrix")]
        assert len(matrix) == 6
        assert all(row.value == values[int(row.i), int(row.j)] for row in matrix.itertuples())
        count = frame[(frame["seed"] == seed) & (frame["array"] == "count")]
        assert count["value"].tolist() == [7]
        assert count["i"].isna().all()


def test_a_missing_result_is_an_empty_frame(storage: Storage) -> None:
    storage.trial("a0")
    study = replace(manifest(replace(arm("CAS", ["a0"]), pictures={"gradients": "k"})), by_epoch=("train_loss",))
    assert [len(frame) for frame in frames(storage.load(), study, "last").values()] == [5, 0]
    assert frames(storage.load(), manifest(arm("CAS", ["a0"])), "last") == {}


def test_accuracy_by_steps_and_by_eps_comes_from_one_evaluation(storage: Storage) -> None:
    storage.trial("a0")
    spec = {"name": "pgd", "iterations": 2, "restarts": 2, "beta_atk": "2"}
    storage.evaluation("a0", "PGD2", "1000", spec=spec, broken=[NEVER, 0, 2, 4], gradient_steps=4)
    storage.evaluation("a0", "natural", "1111")
    storage.evaluation("a0", "FGSM2", "1100", distance=[np.inf, 0.3, 0.1, 0.0], gradient_steps=None)
    found = frames(storage.load(), manifest(arm("CAS", ["a0"], betas=["2"])), "last")
    assert found.keys() == {"by gradient steps", "by eps"}
    steps, eps = found["by gradient steps"], found["by eps"]
    assert steps[["steps", "accuracy"]].to_numpy().tolist() == [[0, 0.75], [1, 0.75], [2, 0.5], [3, 0.5], [4, 0.25]]
    assert (set(steps["attack"]), set(steps["beta_atk"]), set(steps["seed"])) == ({"PGD-20"}, {"2"}, {0})
    assert np.allclose(eps[["eps", "accuracy"]], [[0, 0.75], [0.1, 0.5], [0.3, 0.25]])
