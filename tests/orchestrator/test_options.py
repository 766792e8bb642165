"""The options of a sweep: written once, and one value for every command that starts one."""

from inspect import signature
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.cli.attacks import check, evaluate
from orchestrator.cli.options import sweep_options, with_sweep_options
from orchestrator.cli.sweeps import run
from orchestrator.execution.options import Options
from trainables.config import Runtime

DATA = str(Path("data").resolve())


def given(*arguments):
    """What a command gets that has a parameter before the options and one after them."""
    app, got = typer.Typer(), []

    @app.command()
    @with_sweep_options
    def command(name: str, *, options: "Options", last: bool = False) -> None:
        got.append((name, options, last))

    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return got[0]


def test_nothing_given_is_the_defaults():
    assert given("a") == ("a", Options(None, None, None, None, Runtime(data_dir=DATA), tracking=True), False)


def test_what_is_given_arrives():
    where = ("--cpus-per-trial", "2", "--gpus-per-trial", "0.5", "--max-concurrent", "3", "--address", "auto")
    how: tuple[str, ...] = (
        "--data-dir",
        "~/sets",
        "--download",
        "--layout",
        "contiguous",
        "--compile",
        "graphs",
        "--no-tracking",
    )
    how += ("--optuna", "sqlite:///studies.db")
    runtime = Runtime(data_dir=str(Path.home() / "sets"), download=True, layout="contiguous", compile="graphs")
    assert given("a", *where, *how, "--last") == (
        "a",
        Options(2.0, 0.5, 3, "auto", runtime, False, "sqlite:///studies.db"),
        True,
    )


@pytest.mark.parametrize("command", [run, evaluate, check])
def test_they_follow_what_is_asked_for(command):
    names, added = list(signature(command).parameters), list(signature(sweep_options).parameters)
    first = names.index("retry_failed") + 1
    assert names[first : first + len(added)] == added
    assert "options" not in names
