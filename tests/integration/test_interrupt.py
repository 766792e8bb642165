"""Ctrl-C and SIGTERM: the sweep stops cleanly, says how to continue, and loses nothing."""

import signal

import pytest

from tests.support.command_line import (
    EPOCHS,
    advsweep,
    assert_kept,
    assert_once,
    epochs,
    evaluations,
    numbers,
    runs,
    started,
    sweep,
    table,
    trials,
)

pytestmark = [pytest.mark.ray, pytest.mark.alone, pytest.mark.timeout(600)]

SAID = "advsweep: stopped; finished work is kept. To go on, run the same command again\n"


def stopped(done):
    """Check that a command says in its only line of errors that it was stopped."""
    assert (done.code, done.err) == (130, SAID)
    assert "Traceback" not in done.out


def shown(storage):
    """Check that MLflow shows trials that were running as killed, and none as running."""
    statuses = trials(storage)
    assert runs(storage) == [(key, {"unfinished": "KILLED", "finished": "FINISHED"}[statuses[key]]) for key in statuses]


def test_a_stopped_sweep_is_resumed(undisturbed, tmp_path):
    storage = tmp_path / "storage"
    stopped_in_training(storage, tmp_path)
    resumed(storage, undisturbed)


@pytest.mark.slow
def test_a_sweep_is_stopped_at_its_start_in_training_and_in_evaluation(undisturbed, tmp_path):
    storage = tmp_path / "storage"
    with started(*sweep(storage), folder=tmp_path) as command:
        command.until(lambda: command.runs("gcs_server"))
        command.ctrl_c()
        stopped(command.wait())
        command.gone()
    assert not storage.exists()

    stopped_in_training(storage, tmp_path)
    before = epochs(storage)

    # A scheduler or a container sends SIGTERM, to the driver alone.
    with started(*sweep(storage), folder=tmp_path) as command:
        command.until(lambda: any(evaluations(storage).values()))
        command.send(signal.SIGTERM)
        stopped(command.wait())
        command.gone()
    shown(storage)
    assert_kept(before, epochs(storage))
    resumed(storage, undisturbed)


def stopped_in_training(storage, folder):
    """Stop a sweep with Ctrl-C while it trains, and check what it leaves."""
    with started(*sweep(storage), folder=folder) as command:
        command.until(lambda: any(1 < len(rows) < EPOCHS for rows in epochs(storage).values()))
        command.ctrl_c()
        stopped(command.wait())
        command.gone()
    assert " of 4 trials done, in" in command.out
    assert "unfinished" in trials(storage).values()
    shown(storage)


def resumed(storage, undisturbed):
    """Run a stopped sweep to its end, and check that nothing was lost or done twice."""
    before = epochs(storage), evaluations(storage)
    done = advsweep(*sweep(storage))
    assert (done.code, done.err) == (0, "")
    assert_kept(before[0], epochs(storage))
    assert_kept(before[1], evaluations(storage))
    assert_once(evaluations(storage))
    assert numbers(storage) == numbers(undisturbed[0])
    assert table(storage) == table(undisturbed[0])
    assert runs(storage) == [(key, "FINISHED") for key in trials(undisturbed[0])]
