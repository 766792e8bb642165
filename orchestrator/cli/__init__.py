"""The command line ``advsweep``: options, commands and printing, on the functions of :mod:`orchestrator.api`."""

import sys
from typing import Annotated

import pyarrow
import typer

from orchestrator.cli.attacks import check, evaluate
from orchestrator.cli.housekeeping import du, export, gc, rm
from orchestrator.cli.listing import list_
from orchestrator.cli.new_study import new_study
from orchestrator.cli.printing import err
from orchestrator.cli.search import search
from orchestrator.cli.show import compact, doctor, status, studies, sync, ui
from orchestrator.cli.sweeps import plan, run
from orchestrator.cli.tables import figure, table
from orchestrator.environment import configure_environment
from orchestrator.errors import AdvsweepError
from orchestrator.signals import terminate_as_interrupt

app = typer.Typer(
    name="advsweep",
    help="Ablations of adversarial defenses: name a table of a paper, train what is missing, print it.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("list")(list_)
for command in (
    *(studies, new_study, plan, run, search, evaluate, check, status, table, figure, sync, ui),
    *(du, rm, gc, export, compact, doctor),
):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"advsweep {version('advsweep')}")
        raise typer.Exit


@app.callback()
def advsweep(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Hold the options that belong to no command."""


def main() -> None:
    """Run the command line; print an error that a user can cause as one line on stderr, and exit with its code."""
    configure_environment()
    # Arrow's own pool takes half as much memory again for a large record, and longer.
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    terminate_as_interrupt()
    try:
        app()
    except AdvsweepError as error:
        err.print(f"advsweep: {error}", style="red", markup=False, highlight=False)
        sys.exit(error.exit_code)
