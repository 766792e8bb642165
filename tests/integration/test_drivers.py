"""Several drivers on one storage: each trial is trained once, and what a killed driver had goes on with another."""

import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from orchestrator.api.plans import plan, run_plan
from orchestrator.execution.options import Options
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store
from tests.support.command_line import (
    EPOCHS,
    STUDY,
    Started,
    advsweep,
    assert_kept,
    assert_once,
    epochs,
    evaluations,
    numbers,
    optuna_trials,
    runs,
    started,
    sweep,
    table,
    trials,
)

pytestmark = [pytest.mark.ray, pytest.mark.alone, pytest.mark.timeout(600)]

#: Those of a tiny sweep, in Python.
SETTINGS = {"data.examples": 64, "model.width": 4, "training.epochs": EPOCHS}

#: One trial at once: two drivers have as much room as they need.
ONE = ("--max-concurrent", "1")


@pytest.fixture
def folders(tmp_path):
    """A folder for the output of each of two drivers."""
    found = tmp_path / "first", tmp_path / "second"
    for folder in found:
        folder.mkdir()
    return found


def began(command: Started) -> set[str]:
    """The labels of the trials whose epochs a driver has shown, which it has trained itself."""
    return set(re.findall(r"^\[\d+/\d+\] (.+): epoch ", command.out, re.MULTILINE))


def nothing_claimed(storage: Path) -> None:
    assert [path.name for folder in ("drivers", "claims") for path in (storage / folder).iterdir()] == []


def test_what_a_killed_driver_was_training_goes_on_with_the_other(undisturbed, tmp_path, folders):
    storage = tmp_path / "storage"
    with (
        started(*sweep(storage, *ONE), folder=folders[0]) as first,
        started(*sweep(storage, *ONE), folder=folders[1]) as second,
    ):
        second.until(lambda: "runs trials of this plan too" in first.out + second.out)
        victim, other = (first, second) if began(first) else (second, first)
        victim.until(lambda: any(1 < len(rows) < EPOCHS for rows in epochs(storage).values()) and bool(began(victim)))
        before = epochs(storage), evaluations(storage)
        victim.send(signal.SIGKILL)
        assert victim.wait().code == -signal.SIGKILL
        done = other.wait()
        assert (done.code, done.err) == (0, "")
    assert "4 of 4 trials done" in done.out
    assert_kept(before[0], epochs(storage))
    assert_kept(before[1], evaluations(storage))
    same(storage, undisturbed[0])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_driver_that_only_waits_can_be_stopped(undisturbed, tmp_path, number):
    store = Store(str(tmp_path / "storage"))
    store.create()
    with Claims.joined(store, "run") as other:
        for key in trials(undisturbed[0]):
            assert other.claim(key) is None
        with started(*sweep(Path(store.uri), "--no-tracking"), folder=tmp_path) as command:
            command.until(lambda: "is waited for" in command.out)
            began = time.monotonic()
            command.send(number)
            done = command.wait()
            assert time.monotonic() - began < 30
    assert done.code == 130
    assert done.err == "advsweep: stopped; finished work is kept. To go on, run the same command again\n"


@pytest.mark.slow
def test_what_was_removed_while_a_run_started_is_made_again(copied):
    """Its plan was made before, while the trials were there."""
    made = plan(STUDY, profile="demo", seeds=2, settings=SETTINGS, storage=str(copied))
    assert len(made.to_run) == 4
    shutil.rmtree(copied / "trials" / next(t.key for t in made.trials if t not in made.to_run))
    done = run_plan(made, str(copied), Options(cpus=1, tracking=False))
    assert done.failures == {}
    assert plan(STUDY, profile="demo", seeds=2, settings=SETTINGS, storage=str(copied)).to_run == ()


@pytest.mark.slow
def test_two_drivers_train_each_trial_once_and_both_print_the_table(undisturbed, tmp_path, folders):
    storage = tmp_path / "storage"
    with (
        started(*sweep(storage, *ONE), folder=folders[0]) as first,
        started(*sweep(storage, *ONE), folder=folders[1]) as second,
    ):
        ended = [command.wait() for command in (first, second)]
        trained = [began(command) for command in (first, second)]
    assert [(done.code, done.err) for done in ended] == [(0, "")] * 2
    assert sum(map(len, trained)) == len(trained[0] | trained[1]) == 4
    assert [done.out.count("4 of 4 trials done") for done in ended] == [1, 1]
    tables = [done.out[done.out.index("\ncifs/table-5") :] for done in ended]
    assert tables[0] == tables[1]
    nothing_claimed(storage)
    same(storage, undisturbed[0])
    assert advsweep("gc", "--storage", storage, "--yes").code == 0


def same(storage: Path, undisturbed: Path) -> None:
    """Check that a storage, and its views, hold what one driver alone has made."""
    assert_once(evaluations(storage))
    assert numbers(storage) == numbers(undisturbed)
    assert table(storage) == table(undisturbed)
    assert runs(storage) == [(key, "FINISHED") for key in trials(undisturbed)]
    assert optuna_trials(storage).keys() == trials(undisturbed).keys()
