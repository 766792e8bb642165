"""Several drivers on one storage: each trial is trained once, and what a killed driver had goes on with another."""

import re
import signal
from pathlib import Path

import pytest

from tests.support.command_line import (
    EPOCHS,
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
