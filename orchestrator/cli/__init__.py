"""The command line ``advsweep``: options, commands and printing, on the functions of :mod:`orchestrator.api`."""

import os
import sys
from typing import Annotated, Any, NoReturn

import pyarrow
import typer
from typer.core import TyperGroup

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
from orchestrator.errors import AdvsweepError, Interrupted, Unavailable
from orchestrator.record.files import is_full
from orchestrator.signals import terminate_as_interrupt


class _Commands(TyperGroup):
    """The commands; of a value that is not allowed it leaves out that it is a "Value error", which Typer says first."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    name="advsweep",
    cls=_Commands,
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
        try:
            app()
        finally:
            sys.stdout.flush()
    except AdvsweepError as error:
        _end(error)
    except OSError as error:
        if not is_full(error):
            raise
        # At its end Python would try again to write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _end(Unavailable(f"the output cannot be written: {error.strerror}"))
    except SystemExit as ended:
        # Typer's way to end by Ctrl-C or SIGTERM, of which it says nothing.
        if isinstance(getattr(ended.__context__, "__cause__", None), KeyboardInterrupt):
            _end(Interrupted())
        raise


def _end(error: AdvsweepError) -> NoReturn:
    """Print an error, and exit with its code."""
    err.print(f"advsweep: {error}", style="red", markup=False, highlight=False)
    sys.exit(error.exit_code)
