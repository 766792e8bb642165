"""The progress of a sweep: plain lines, or one live view."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from analysis.record.schema import Ending, Status
from orchestrator.api.plans import SweepResult
from orchestrator.cost.estimate import Estimate
from orchestrator.cost.network_size import multiply_adds
from orchestrator.cost.passes import evaluation_passes, training_passes
from orchestrator.execution import progress
from orchestrator.execution.progress import MAX_LISTED, Outcome, Progress
from orchestrator.planning.expansion import plan
from orchestrator.record.recorded import Recorded
from orchestrator.record.report import End, Report
from search_spaces.study import Panel
from tests.support.tiny_study import EPOCHS, STUDY, tiny_plan


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""

    class Clock:
        now = 100.0

    monkeypatch.setattr("orchestrator.execution.progress.time.monotonic", lambda: Clock.now)
    return Clock


def console(terminal=False, width=160):
    return Console(file=StringIO(), width=width, force_terminal=terminal, color_system=None, _environ={})


def result(trial, epoch, left=None, natural=None, robust=None, failed="", passes=None, unmeasured=None, not_run=None):
    """Return a worker's report."""
    left = len(trial.missing) if left is None else left
    unmeasured = len(trial.unmeasured) if unmeasured is None else unmeasured
    passes = training_passes(trial.config) if passes is None else passes
    done = bool(failed) or (epoch == EPOCHS and not left and not unmeasured)
    failure = End(Ending.DIVERGED, failed) if failed else None
    return Report(epoch, natural, robust, left, unmeasured, passes, 1.5, done, not_run or {}, failure)


def lost(reason):
    return End(Ending.ERROR, reason)


def evaluating(trial):
    return sum(evaluation_passes(trial.config, e.attack) for e in trial.missing)


def lines(shown):
    return shown._console.file.getvalue().splitlines()


def view(shown):
    """Return the live view as text."""
    screen = console(terminal=True)
    screen.print(shown._view())
    return screen.file.getvalue()


# --- plain lines --------------------------------------------------------------------------------------------------------


def test_every_event_is_a_line(clock):
    one, two, three = tiny_plan().trials
    with Progress([one, two, three], console()) as shown:
        shown.started(one.key)
        clock.now += 10
        shown.advanced(one.key, result(one, 1, natural=0.5, robust=0.25))
        shown.advanced(one.key, result(one, 3, left=6))
        shown.advanced(one.key, result(one, 3, left=2, passes=evaluating(one)))
        shown.advanced(one.key, result(one, 3, left=0, natural=0.75, robust=1 / 3))
        shown.started(two.key)
        shown.advanced(two.key, result(two, 0, failed="diverged at epoch 1: the loss is nan"))
        shown.started(three.key)
        shown.failed(three.key, lost("out of memory: 3 GiB"))
        clock.now += 3590
    assert [re.sub(r", (about|time left).*", "", line) for line in lines(shown)] == [
        "[0/3] Vanilla seed 0: epoch 1/3, natural 50.00, robust 25.00",
        "[0/3] Vanilla seed 0: evaluation 0/6",
        "[0/3] Vanilla seed 0: evaluation 4/6",
        "[1/3] Vanilla seed 0: done, natural 75.00, robust 33.33",
        "CAS seed 0: FAILED: diverged at epoch 1: the loss is nan",
        "CIFS seed 0: FAILED: out of memory: 3 GiB",
        "1 of 3 trials done, 2 failed, in 1 h 00 min",
    ]
    assert shown.done == 1
    diverged = End(Ending.DIVERGED, "diverged at epoch 1: the loss is nan")
    assert shown.failures == {two.key: diverged, three.key: lost("out of memory: 3 GiB")}


def test_evaluations_that_could_not_be_run_are_printed_and_do_not_fail_the_trial():
    (trial, *_) = tiny_plan().trials
    with Progress([trial], console()) as shown:
        shown.started(trial.key)
        shown.advanced(trial.key, result(trial, EPOCHS, left=2, not_run={"transfer (last)": "there is no such trial"}))
        assert "Vanilla seed 0: transfer (last): there is no such trial" in view(shown)
        shown.advanced(trial.key, result(trial, EPOCHS, left=0, not_run={"transfer (best)": "nor here"}))
    assert [re.sub(r", (about|time left|in).*", "", line) for line in lines(shown)] == [
        "Vanilla seed 0: NOT RUN: transfer (last): there is no such trial",
        "[0/1] Vanilla seed 0: evaluation 4/6",
        "Vanilla seed 0: NOT RUN: transfer (best): nor here",
        "[1/1] Vanilla seed 0: done",
        "1 of 1 trials done, 2 evaluations not run",
    ]
    assert (shown.done, shown.failures) == (1, {})
    assert shown.outcome.not_run == {trial.key: {"transfer (last)": "there is no such trial", "transfer (best)": "nor here"}}


def test_measurements_follow_the_evaluations(clock):
    measures = [Panel(name, {"name": name}) for name in ("soundness", "dimensions")]
    (trial, *_) = plan([STUDY], "demo", seeds=1, measures=measures).trials
    with Progress([trial], console()) as shown:
        shown.started(trial.key)
        for left, unmeasured in ((6, 4), (0, 4), (0, 1), (0, 0)):
            shown.advanced(trial.key, result(trial, EPOCHS, left=left, unmeasured=unmeasured))
    assert [re.sub(r", (about|time left|in).*", "", line) for line in lines(shown)] == [
        "[0/1] Vanilla seed 0: evaluation 0/6",
        "[0/1] Vanilla seed 0: measurement 0/4",
        "[0/1] Vanilla seed 0: measurement 3/4",
        "[1/1] Vanilla seed 0: done",
        "1 of 1 trials done",
    ]


def test_a_reason_is_printed_as_it_is():
    (trial, *_) = tiny_plan().trials
    reason = "RuntimeError: [enforce fail at alloc.cpp] [/bold] [red]x[/red] [Errno 2]"
    with Progress([trial], console()) as shown:
        shown.started(trial.key)
        shown.failed(trial.key, lost(reason))
    assert lines(shown)[0] == f"Vanilla seed 0: FAILED: {reason}"
    assert reason in view(shown)


def test_plain_lines_have_no_terminal_codes():
    (trial, *_) = tiny_plan().trials
    with Progress([trial], console()) as shown:
        shown.started(trial.key)
        shown.advanced(trial.key, result(trial, 1, natural=0.5, robust=0.25))
    assert "\x1b" not in "".join(lines(shown))


def test_a_sweep_with_nothing_to_do():
    with Progress([], console()) as shown:
        pass
    assert lines(shown) == ["0 of 0 trials done, in 0 s"]
    assert "trials: 0 done, 0 running, 0 waiting, 0 failed" in view(shown)


# --- the live view ------------------------------------------------------------------------------------------------------


def test_the_view_counts_trials_and_lists_those_that_run(clock):
    made = tiny_plan(seeds=2).trials
    shown = Progress(made, console(terminal=True))
    for trial in made[:4]:
        shown.started(trial.key)
    shown.advanced(made[0].key, result(made[0], 2, natural=0.875, robust=0.4321))
    shown.advanced(made[1].key, result(made[1], 3, left=3))
    shown.advanced(made[2].key, result(made[2], 3, left=0))
    shown.failed(made[3].key, lost("out of memory"))
    text = view(shown)
    assert "trials: 1 done, 2 running, 2 waiting, 1 failed" in text
    rows = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert rows["Vanilla seed 0"][-4:] == ["epoch", "2/3", "87.50", "43.21"]
    assert rows["CAS seed 0"][-2:] == ["evaluation", f"{len(made[1].missing) - 3}/{len(made[1].missing)}"]
    assert "CIFS seed 0" not in text
    assert "Vanilla seed 1: out of memory" in text


def test_a_terminal_gets_the_view_while_it_runs_and_the_summary_at_its_end():
    (trial, *_) = tiny_plan().trials
    screen = console(terminal=True)
    with Progress([trial], screen) as shown:
        shown.started(trial.key)
        shown.advanced(trial.key, result(trial, 1, natural=0.5, robust=0.25))
        shown._live.refresh()
    text = screen.file.getvalue()
    assert "trials: 0 done, 1 running, 0 waiting, 0 failed" in text
    assert "epoch 1/3" in text
    assert text.rstrip().splitlines()[-1].endswith("0 of 1 trials done, in 0 s")


def test_the_view_fits_a_screen_with_any_number_of_trials():
    made = tiny_plan(seeds=20).trials
    shown = Progress(made, console())
    for trial in made:
        shown.started(trial.key)
    text = view(shown)
    assert f"{len(made)} running" in text
    assert f"... and {len(made) - MAX_LISTED} more" in text
    assert len(text.splitlines()) == MAX_LISTED + 3
    for trial in made:
        shown.failed(trial.key, lost(f"reason of {trial.key}"))
    text = view(shown)
    assert text.count("reason of") == 5
    assert f"reason of {made[-1].key}" in text


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_view_fits_any_width(width):
    made = tiny_plan(seeds=2).trials
    shown = Progress(made, console())
    for trial in made:
        shown.started(trial.key)
    shown.failed(made[0].key, lost("a reason that is longer than the screen is wide " * 5))
    screen = console(terminal=True, width=width)
    screen.print(shown._view())
    assert all(len(line) <= width for line in screen.file.getvalue().splitlines())


# --- time left ----------------------------------------------------------------------------------------------------------


def test_the_time_left_is_estimated_from_the_cost_of_finished_work(clock):
    (trial, *_) = tiny_plan().trials
    shown = Progress([trial], console())
    assert "time left: not known yet" in view(shown)
    clock.now += 1000  # waiting for the cluster does not count
    shown.started(trial.key)
    assert "time left: not known yet" in view(shown)
    clock.now += 10  # nor does a process that starts: the report says that its epoch took 1.5 s
    shown.advanced(trial.key, result(trial, 1))
    epoch, rest = training_passes(trial.config), 2 * training_passes(trial.config) + evaluating(trial)
    assert f"about {round(1.5 * rest / epoch)} s left" in view(shown)
    clock.now += 10
    assert f"about {round(11.5 * rest / epoch)} s left" in view(shown)
    shown.advanced(trial.key, result(trial, 3, passes=2 * epoch))
    shown.advanced(trial.key, result(trial, 3, left=0, passes=evaluating(trial)))
    assert "about 0 s left" in view(shown)


@pytest.mark.parametrize("passes", [0.0, 1e9])
def test_the_time_left_is_never_negative(clock, passes):
    """A trial that is retried does some of its work twice."""
    made = tiny_plan().trials
    shown = Progress(made, console())
    for trial in made:
        shown.started(trial.key)
        for epoch in (1, 1, 2, 3, 3):
            clock.now += 1
            shown.advanced(trial.key, result(trial, epoch, passes=passes))
            assert re.search(r"(about \d[^-]* left|time left: not known yet)", view(shown))
    shown.advanced(made[0].key, result(made[0], 3, left=0))
    shown.failed(made[1].key, lost("x"))
    shown.advanced(made[2].key, result(made[2], 3, left=0))
    assert "about 0 s left" in view(shown)


def test_the_hours_of_trials_are_summed(clock):
    one, two = tiny_plan().trials[:2]
    shown = Progress([one, two], console())
    for trial in (one, two):
        shown.started(trial.key)
        shown.advanced(trial.key, result(trial, 1))
    clock.now += 3600
    assert shown.outcome.hours == 2 * 1.5 / 3600


def test_recorded_work_costs_nothing(clock):
    trial = tiny_plan().trials[0]
    keys = [e.key for e in trial.evaluations]
    resumed = replace(trial, recorded=Recorded(epochs=2))
    evaluated = replace(trial, recorded=Recorded(Status.FINISHED, epochs=EPOCHS, evaluations=frozenset(keys[2:])))
    size = multiply_adds(trial.config.model, trial.config.module, trial.config.data.info)
    assert Progress([resumed], console())._total == size * (training_passes(trial.config) + evaluating(trial))
    assert Progress([evaluated], console())._total == size * 2 * evaluation_passes(trial.config, trial.evaluations[0].attack)
    shown = Progress([evaluated], console())
    shown.started(trial.key)
    assert "evaluation 0/2" in view(shown)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3600, "1 h 00 min"), (90061, "25 h 01 min")],
)
def test_durations(seconds, text):
    assert progress._duration(seconds) == text


def test_the_summary_counts_trainings_whose_evaluations_are_left(clock):
    one, two, *_ = trials = tiny_plan().trials
    with Progress(trials, console()) as shown:
        shown.started(one.key)
        shown.advanced(one.key, result(one, EPOCHS, left=2))
        shown.started(two.key)
        shown.advanced(two.key, result(two, 1))
    assert re.sub(r", in .*", "", lines(shown)[-1]) == "0 of 3 trials done, 1 more trained, with evaluations left"


def test_the_result_of_a_run_is_short_in_a_notebook():
    shown = repr(SweepResult(tiny_plan(), Estimate(None, None, None, None, None), Outcome({}, {}, {}), "results"))
    assert shown == "SweepResult(3 trials, 0 failed, storage='results')"
