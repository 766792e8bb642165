"""Columns of text as commands print them."""

from collections.abc import Sequence
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli import printing

NAMES = ("trial", "arm", "left")
ROWS = (
    ("1d202ab6", "β = 0.1", "0"),
    ("e56751af", "a label that is much longer than the others", ""),
    ("", "全角", "12"),
    ("9", "positions=[block4], :warning: [red]", "3"),
)


def by_rich(rows: Sequence[Sequence[str]]) -> str:
    """What rich makes of them, without the spaces at the ends of lines."""
    table = Table(*NAMES, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(file=StringIO(), width=1000, color_system=None, _environ={})
    console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ()])
def test_columns_are_those_of_rich(rows: Sequence[Sequence[str]], capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_columns(NAMES, rows)
    assert capsys.readouterr().out == by_rich(rows)


@pytest.mark.parametrize(("width", "lines"), [(80, 5), (30, 10)])
def test_a_terminal_folds_what_is_too_wide_for_it(width: int, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = StringIO()
    console = Console(file=shown, width=width, force_terminal=True, color_system=None, _environ={})
    monkeypatch.setattr(printing, "Console", lambda: console)
    monkeypatch.setattr(printing.sys, "stdout", shown)
    printing.print_columns(NAMES, ROWS)
    printed = shown.getvalue().splitlines()
    assert len(printed) == lines
    assert all(len(line) <= width for line in printed)
