"""Sweeps survive SIGKILL: of the driver at several moments, and of a process that trains."""

import os
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.command_line import (
    EPOCHS,
    Started,
    assert_kept,
    assert_once,
    epochs,
    evaluations,
    here,
    numbers,
    runs,
    started,
    sweep,
    table,
    trials,
)

pytestmark = [pytest.mark.ray, pytest.mark.alone, pytest.mark.timeout(600)]


def _half_a_database(storage: Path, command: Started) -> bool:
    return any(file.stat().st_size > 400_000 for file in storage.glob("*mlflow.db*"))  # of 950 kB


def _training(storage: Path, command: Started) -> bool:
    return any(1 < len(rows) < EPOCHS for rows in epochs(storage).values())


def _evaluating(storage: Path, command: Started) -> bool:
    return any(0 < len({row["evaluation"] for row in rows}) < 12 for rows in evaluations(storage).values() if rows)


def _done(storage: Path, command: Started) -> bool:
    return " trials done, in" in command.out


#: Moments in a sweep's order: the run that resumes after one kill reaches the next moment.
MOMENTS: Mapping[str, Callable[[Path, Started], bool]] = {
    "MLflow's tables are half made": _half_a_database,
    "training": _training,
    "evaluating": _evaluating,
    "every trial is done": _done,
}


@pytest.mark.parametrize(
    "moments", [("training", "every trial is done"), pytest.param(tuple(MOMENTS), marks=pytest.mark.slow)], ids=["two", "all"]
)
def test_a_sweep_whose_driver_is_killed_at_several_moments_is_resumed(undisturbed, tmp_path, moments):
    storage = tmp_path / "storage"
    for moment in moments:
        reached = MOMENTS[moment]
        before = epochs(storage), evaluations(storage)
        with started(*sweep(storage), folder=tmp_path) as command:
            if reached is _done:
                # A process that trains may die too: its trial is retried in the same run.
                command.until(lambda: "[0/" in command.out)
                os.kill(next(p.pid for p in command.processes() if p.trains), signal.SIGKILL)
            command.until(lambda: reached(storage, command))  # noqa: B023
            command.send(signal.SIGKILL)
            assert command.wait().code == -signal.SIGKILL, moment
            assert command.err == "", moment
            command.gone()
        assert_kept(before[0], epochs(storage))
        assert_kept(before[1], evaluations(storage))
    assert re.search(r"^(\d) of \1 trials done, in", command.out, re.MULTILINE)

    done = here(*sweep(storage))
    assert (done.code, done.err) == (0, "")
    assert_once(evaluations(storage))
    assert numbers(storage) == numbers(undisturbed[0])
    assert table(storage) == table(undisturbed[0])
    assert runs(storage) == [(key, "FINISHED") for key in trials(undisturbed[0])]
