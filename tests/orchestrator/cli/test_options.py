"""Groups of options: defined once, and passed as one value to every command that has them."""

from dataclasses import fields
from datetime import datetime
from inspect import signature
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.api import attacks, plans, searches
from orchestrator.cli import app
from orchestrator.cli.attacks import check, evaluate
from orchestrator.cli.options import StudyOptions, selection_options, study_options, sweep_options, with_options
from orchestrator.cli.search import search
from orchestrator.cli.sweeps import plan, run
from orchestrator.errors import BadInput
from orchestrator.execution.options import Options, moment
from orchestrator.search.options import SearchOptions
from trainables.config import Runtime

DATA = str(Path("data").resolve())


def given(*arguments):
    """Run a command with parameters before and after the groups of options, and return what it is passed."""
    app, got = typer.Typer(), []

    @app.command()
    @with_options
    def command(name: str, *, study: StudyOptions, options: "Options", last: bool = False) -> None:
        got.append((name, study, options, last))

    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return got[0]


def test_nothing_given_is_the_defaults():
    study = StudyOptions("paper", None, {}, (), "./advsweep-results", False)
    assert given("a") == ("a", study, Options(runtime=Runtime(data_dir=DATA)), False)


def test_options_are_passed_on():
    what = ("--profile", "demo", "--seeds", "2", "--set", "training.lr=0.1", "--study-file", "mine.py", "--retry-failed")
    where = ("--storage", "there", "--cpus-per-trial", "2", "--gpus-per-trial", "0.5", "--max-concurrent", "3")
    how = ("--address", "auto", "--data-dir", "~/sets", "--download", "--layout", "contiguous", "--compile", "graphs")
    views = ("--no-tracking", "--optuna", "sqlite:///studies.db")
    runtime = Runtime(data_dir=str(Path.home() / "sets"), download=True, layout="contiguous", compile="graphs")
    assert given("a", *what, *where, *how, *views, "--last") == (
        "a",
        StudyOptions("demo", 2, {"training.lr": 0.1}, (Path("mine.py"),), "there", True),
        Options(2.0, 0.5, 3, "auto", runtime, False, "sqlite:///studies.db"),
        True,
    )


@pytest.mark.parametrize("command", [run, evaluate, check, search])
def test_they_follow_what_is_asked_for(command):
    names, added = list(signature(command).parameters), list(signature(sweep_options).parameters)
    first = names.index(added[0])
    assert names[first : first + len(added)] == added
    assert list(signature(study_options).parameters) == [name for name in names if name in signature(study_options).parameters]
    assert not {"study", "options"} & {*names}


@pytest.mark.parametrize(
    ("command", "function", "renamed"),
    [
        (plan, plans.plan, {}),
        (run, plans.run, {}),
        (evaluate, attacks.evaluate, {"attack": "attacks", "measure": "measures"}),
        (check, attacks.check, {}),
        (search, searches.search, {}),
    ],
)
def test_a_function_has_the_defaults_of_its_command(command, function, renamed):
    renamed |= {"study_file": "study_files"}
    mine = {renamed.get(name, name): p.default for name, p in signature(command).parameters.items()}
    its = {name: p.default for name, p in signature(function).parameters.items() if p.default is not p.empty}
    assert {field.name for field in fields(StudyOptions)} <= its.keys()
    for name in its.keys() & mine.keys():
        assert (mine[name] or None) == (its[name] or None), name
    # A name that either has alone is a group's, or how a result is shown.
    assert its.keys() - mine.keys() <= {"observer", "options", "checkpoint", "search_options"}


def test_a_searchs_options_have_the_defaults_of_its_command():
    renamed = {"objective": "objectives", "constraint": "constraints"}
    mine = {renamed.get(name, name): p.default for name, p in signature(search).parameters.items()}
    its = {field.name: field.default for field in fields(SearchOptions)}
    assert its.keys() <= mine.keys()
    assert its.pop("objectives") == ("pgd20",), "which the command takes where none is given"
    assert all((mine[name] or None) == (default or None) for name, default in its.items())


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("8h", datetime(2026, 11, 21, 4, 30)),
        ("1h30m", datetime(2026, 11, 20, 22)),
        ("90s", datetime(2026, 11, 20, 20, 31, 30)),
        ("22:15", datetime(2026, 11, 20, 22, 15)),
        ("7:00", datetime(2026, 11, 21, 7)),
        ("20:30", datetime(2026, 11, 21, 20, 30)),
        (None, None),
    ],
)
def test_a_moment_is_a_time_of_day_or_a_duration(text, end):
    assert moment(text, datetime(2026, 11, 20, 20, 30)) == end


@pytest.mark.parametrize("text", ["", "8", "25:00", "soon", "m", "8 h"])
def test_other_moments_are_refused(text):
    with pytest.raises(BadInput, match=r"--until .*: write a time of day, as in 22:30, or a duration, as in 8h or 1h30m"):
        moment(text)


def test_rows_and_columns_are_passed_on():
    got = selection_options(where=["beta=0.1", "beta=1"], columns=["PGD*"])
    assert (got.where, got.columns) == ({"beta": ["0.1", "1"]}, ("PGD*",))


def test_the_version():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, "advsweep 0.1.0\n")
