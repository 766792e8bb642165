"""Output that several commands print, to stdout or stderr."""

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.api.observer import Observer
from orchestrator.record.files import set_aside

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analysis.tables import Table
    from orchestrator.api.observer import Synced
    from orchestrator.api.plans import SweepResult
    from orchestrator.cost.estimate import Estimate
    from orchestrator.planning.plan import Plan

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


class Printer(Observer):
    """Prints the steps of a function to a console: stderr, where results are JSON on stdout."""

    def __init__(self, console: Console = out) -> None:
        super().__init__(console)

    def planned(self, plan: "Plan", expected: "Estimate") -> None:
        if missing := plan.untrained:
            self.console.print(
                f"{len(missing)} of {len(plan.trials)} trials are not trained and left out ({missing[0].label}, ...)"
            )
        print_counts(plan, expected, self.console)

    def damaged(self, path: str) -> None:
        self.console.print(set_aside(path), markup=False, highlight=False)

    def synced(self, view: "Synced") -> None:
        for line in (f"{view.place}: {view.written}", *view.notes):
            self.console.print(line, markup=False, highlight=False)


def print_counts(plan: "Plan", expected: "Estimate", console: Console = out) -> None:
    """Print the numbers of a plan: its trials, its evaluations, and what was recorded under older numerics."""
    n = plan.counts()
    shared = n["trials_requested"] - n["trials_unique"]
    console.print(
        f"{n['trials_requested']} trials asked for, {n['trials_unique']} after sharing ({shared} shared): "
        f"{n['trials_cached']} there already, {n['trials_to_run']} to train"
        + (f" and {n['trials_begun']} on their way" if n["trials_begun"] else "")
        + f"; {n['evaluations_to_run']} evaluations to run"
        + (f", {n['measurements_to_run']} measurements" if n["measurements_to_run"] else "")
        + (f"; {n['trials_failed']} failed before (--retry-failed resumes them)" if n["trials_failed"] else "")
        + (
            f"; {n['evaluations_failed']} evaluations failed before (--retry-failed runs them again)"
            if n["evaluations_failed"]
            else ""
        ),
        highlight=False,
    )
    console.print(
        f"{n['evaluations_requested']} evaluations asked for, {n['evaluations_unique']} after sharing; {expected}",
        highlight=False,
    )
    for manifest in plan.manifests:
        for names in manifest.equal_rows:
            console.print(
                f"{manifest.study}: with these settings {len(names)} rows are one and the same training: {'; '.join(names)}",
                highlight=False,
                markup=False,
            )
    for remark in dict.fromkeys(r for manifest in plan.manifests for arm in manifest.arms for r in arm.remarks):
        console.print(remark, highlight=False, markup=False)
    for name, trials in plan.outdated.items():
        console.print(f"{trials} trials were recorded under an older numerics of {name}", highlight=False, markup=False)


def print_hours(result: "SweepResult", console: Console = out) -> None:
    """Print the device-hours that a run used and those that were estimated; nothing if there was nothing to run."""
    from orchestrator.cost.estimate import hours_text

    if result.plan.to_run:
        total = result.expected.total
        expected = f", where {hours_text(total)} were expected" if total is not None else ""
        console.print(f"it took {hours_text(result.outcome.hours)} device-hours{expected}", highlight=False)


def print_tables(result: "SweepResult") -> None:
    """Print the table of every study of a run, each after an empty line."""
    from orchestrator.api.tables import build_table

    for manifest in result.plan.manifests:
        out.print()
        print_table(build_table(result.storage, manifest))


def print_table(table: "Table") -> None:
    """Print a table with styles to a terminal, or as plain text where stdout is none."""
    from analysis.render import to_rich, to_text

    if out.is_terminal:
        Console().print(to_rich(table))
    else:
        sys.stdout.write(to_text(table))


def print_columns(names: "Sequence[str]", rows: "Iterable[Sequence[str]]") -> None:
    """Print columns to stdout: folded to the width of a terminal where they are wider, otherwise a line for each row.

    In lines of plain text, since thousands of rows would take rich many seconds.
    """
    rows = [tuple(names), *map(tuple, rows)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    console = Console()
    if console.is_terminal and sum(widths) + 2 * (len(widths) - 1) > console.width:
        table = RichTable(*names, box=None, pad_edge=False)
        for row in rows[1:]:
            table.add_row(*map(Text, row))
        console.print(table)
        return
    header, *lines = ("  ".join(map(set_cell_size, row, widths)).rstrip() for row in rows)
    console.print(Text(header, "bold"), soft_wrap=True)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
