"""The command line: ``advsweep``."""

import sys

import typer

from orchestrator.cli.attacks import check, evaluate
from orchestrator.cli.new_study import new_study
from orchestrator.cli.options import err
from orchestrator.cli.search import search
from orchestrator.cli.show import figure, status, studies, sync, table, ui
from orchestrator.cli.sweeps import plan, run
from orchestrator.errors import AdvsweepError
from orchestrator.execution.signals import terminate_as_interrupt

app = typer.Typer(
    name="advsweep",
    help="Ablations of adversarial defenses: name a table of a paper, train what is missing, print it.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (studies, new_study, plan, run, search, evaluate, check, status, table, figure, sync, ui):
    app.command()(command)


def main() -> None:
    """The entry point: every error that a user can cause is one line on stderr, and an exit code."""
    terminate_as_interrupt()
    try:
        app()
    except AdvsweepError as error:
        err.print(f"advsweep: {error}", style="red", markup=False, highlight=False)
        sys.exit(error.exit_code)
