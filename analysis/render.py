"""Tables as text, Markdown, LaTeX and HTML, all from one :class:`analysis.sheet.Sheet`, and as CSV."""

import html
import io
import re
from collections.abc import Callable

import pandas as pd
from pandas.io.formats.style import Styler
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from analysis.rows import Cell, Row
from analysis.sheet import LEGEND, Sheet, caption, notes, sheet, title
from analysis.tables import Table

# --- text -----------------------------------------------------------------------------------------------------------------


def to_rich(table: Table) -> RenderableType:
    """Render a table for a terminal."""

    def mark(text: str, style: str) -> Text:
        return Text.assemble((text, style))

    legend = Text("; ").join([mark(name, style) for name, style in LEGEND])
    return _around(table, _grid(table, mark), legend)


def to_text(table: Table, width: int = 120) -> str:
    """Render a table as plain text: ``*`` marks the best mean of a column, ``↓`` the strongest attack of a row.

    ``width``: the column at which sentences are wrapped; the table itself may be wider.
    """
    symbols = {"bold": "*", "underline": "↓"}
    grid = _grid(table, lambda text, style: Text(text + "".join(symbols[name] for name in style.split())))
    legend = Text("; ".join(f"{symbols[style]} {name}" for name, style in LEGEND))
    needed = Console(width=10_000).measure(grid).maximum
    console = Console(width=max(width, needed), file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(_around(table, grid, legend))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _grid(table: Table, mark: Callable[[str, str], Text]) -> RichTable:
    lines = sheet(table)
    grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in lines.header:
        grid.add_column(Text(name), no_wrap=True)
    points = {i: max((cell.find(".") for cell in lines.text[i]), default=0) for i in lines.numbers}
    for i, (cells, styles) in enumerate(zip(lines.text.to_numpy(), lines.style.to_numpy(), strict=True)):
        if i in lines.blocks:
            grid.add_section()
        elif i in lines.gaps:
            grid.add_row()
        texts = [mark(cell, style) for cell, style in zip(cells, styles, strict=True)]
        for j in lines.numbers:
            texts[j].pad_left(points[j] - cells[j].find(".") if "." in cells[j] else 0)  # 100.00 and 9.87 in line
        grid.add_row(*texts)
    return grid


def _around(table: Table, grid: RichTable, legend: Text) -> Group:
    return Group(Text(title(table), style="bold"), grid, Text(caption(table)), legend, *map(Text, notes(table)))


# --- Markdown -------------------------------------------------------------------------------------------------------------


def to_markdown(table: Table) -> str:
    """Render a table as GitHub's Markdown: title, table, caption and footnotes."""

    def mark(text: str, style: str = "") -> str:
        text = re.sub(r"([\\`*|<])", r"\\\1", text)
        text = f"<u>{text}</u>" if "underline" in style else text
        return f"**{text}**" if "bold" in style else text

    lines = sheet(table)
    cells = lines.text.combine(lines.style, lambda text, style: text.combine(style, mark))
    grid = cells.to_markdown(index=False, headers=[mark(name) for name in lines.header], disable_numparse=True)
    legend = "; ".join(mark(name, style) for name, style in LEGEND)
    return "\n\n".join([mark(title(table), "bold"), grid, f"{mark(caption(table))} {legend}.", *map(mark, notes(table))]) + "\n"


# --- LaTeX ----------------------------------------------------------------------------------------------------------------

_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "λ": "lambda", "σ": "sigma", "τ": "tau"}
_SIGNS = {"ℓ": "ell", "∞": "infty", "±": "pm", "×": "times", "·": "cdot", "≤": "leq", "≥": "geq", "→": "to"}
_TO_LATEX = str.maketrans(
    {symbol: rf"$\{name}$" for symbol, name in (_GREEK | _SIGNS).items()}
    | {symbol: f"${symbol}$" for symbol in "<>|"}
    | {symbol: rf"\{symbol}" for symbol in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "–": "--",
        "…": r"\ldots{}",
        "†": r"\dag{}",
    }
)


def to_latex(table: Table) -> str:
    """Render a table as a LaTeX ``table`` environment, which needs only the package booktabs."""
    lines = sheet(table)
    cells = lines.text.map(_latex)
    # LaTeX takes a rule at the beginning of a line, so it is written in the line's first cell.
    rules = dict.fromkeys(lines.gaps, r"\addlinespace") | dict.fromkeys(lines.blocks, r"\midrule")
    cells[0] = [f"{rules[i]} {cell}" if i in rules else cell for i, cell in enumerate(cells[0])]
    styler = _styled(lines, cells, _latex, {"bold": "textbf: --rwrap;", "underline": "underline: --rwrap;"})
    legend = "; ".join(f"\\{'textbf' if style == 'bold' else style}{{{name}}}" for name, style in LEGEND)
    sentences = [_latex(f"{title(table)}. {caption(table)}"), f"{legend}.", *map(_latex, notes(table))]
    return styler.to_latex(
        hrules=True,
        caption=" ".join(sentences),
        label=f"tab:{table.manifest.study}",
        column_format="l" * len(lines.header),
        position="tbp",
        position_float="centering",
    )


def _latex(text: str) -> str:
    return text.translate(_TO_LATEX)


# --- HTML -----------------------------------------------------------------------------------------------------------------


def to_html(table: Table) -> str:
    """Render a table as an HTML fragment with its own style; a page may contain several."""
    lines = sheet(table)
    styles = {"bold": "font-weight: bold;", "underline": "text-decoration: underline;"}
    legend = "; ".join(f'<span style="{styles[style]}">{name}</span>' for name, style in LEGEND)
    around = [
        f"<b>{html.escape(title(table))}</b>",
        f"{html.escape(caption(table))} {legend}.",
        *map(html.escape, notes(table)),
    ]
    starts = pd.DataFrame(
        {i: ["start" if j in lines.gaps | lines.blocks else "" for j in lines.text.index] for i in lines.text}
    )
    m = table.manifest
    name = "-".join([m.study, m.variant, table.over_beta, table.counting, *(block.checkpoint for block in table.blocks)])
    return (
        _styled(lines, lines.text.map(html.escape), html.escape, styles)
        .set_uuid(re.sub(r"\W", "-", name))
        .set_caption("<br>".join(around))
        .set_td_classes(starts)
        .set_table_styles(
            [
                {"selector": "", "props": "border-collapse: collapse;"},
                {"selector": "caption", "props": "text-align: left; padding-bottom: 0.6em;"},
                {"selector": "th, td", "props": "text-align: left; padding: 0.1em 0.6em;"},
                {"selector": "td.start", "props": "border-top: 1px solid;"},
            ]
        )
        .to_html()
    )


def _styled(lines: Sheet, cells: pd.DataFrame, escape: Callable[[str], str], styles: dict[str, str]) -> Styler:
    """Make a Styler of a sheet. ``cells``: its escaped texts. ``styles``: how a format writes each style."""
    css = lines.style.map(lambda style: "".join(styles[name] for name in style.split()))
    styler = Styler(cells, cell_ids=False).hide(axis="index").apply(lambda _: css, axis=None)
    # pandas takes new labels for templates.
    header = [escape(name).replace("{", "{{").replace("}", "}}") for name in lines.header]
    return styler.relabel_index(header, axis=1)


# --- CSV ------------------------------------------------------------------------------------------------------------------


def to_csv(table: Table) -> str:
    """Render a table as CSV for programs: one number a line, accuracies in percent, unrounded.

    ``counting``: whether an example is right of which the attack's ``last`` iterate is, or of which no iterate is wrong
    (``any``). ``statistic``: ``mean`` (with ``std``), ``best``, ``worst`` (one seed for all columns), ``seed``, or ``cited``,
    without a value, of a row that the paper only quotes; ``seeds``: the seeds in it; ``finished``: how many seeds have a number
    in the row; ``paper``: the paper's number, that of its best or worst training where it prints one. A mean of no seed is
    empty; ``notes`` give the reason, and that of a mean over fewer seeds than the row has. A column that does not apply to a
    row has no line.
    """
    m = table.manifest
    header = [
        "study",
        "profile",
        "variant",
        "selection",
        "over_beta",
        "checkpoint",
        *table.factors,
        "column",
        "counting",
        "statistic",
    ]
    header += ["seeds", "value", "std", "finished", "asked", "paper", "paper_std", "notes"]
    lines = []
    for block in table.blocks:
        for row in block.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if cell is None:
                    continue
                where = (
                    m.study,
                    m.profile,
                    m.variant,
                    m.selection,
                    table.over_beta,
                    block.checkpoint,
                    *row.labels,
                    column.label,
                    "last" if column.label in table.by_last else "any",
                )
                why = "; ".join(filter(None, (cell.note, *row.notes, *row.doubts)))
                for statistic in _statistics(row, cell):
                    number = cell.paper_ends.get(statistic[0], cell.paper)
                    paper = (number.value, number.std) if number else (None, None)
                    lines.append((*where, *statistic, len(row.seeds), row.asked, *paper, why))
    return pd.DataFrame(lines, columns=header).to_csv(index=False)


def _statistics(row: Row, cell: Cell) -> list[tuple[str, str, float | None, float | None]]:
    """List the lines of a cell: statistic, seeds, value, std."""
    singles = [("best", row.best), ("worst", row.worst), *(("seed", seed) for seed in row.seeds)]
    mean = ("cited" if row.cited else "mean", " ".join(map(str, cell.values)), cell.mean, cell.std)
    return [mean, *((name, str(seed), cell.values[seed], None) for name, seed in singles if seed in cell.values)]
