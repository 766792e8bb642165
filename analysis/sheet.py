"""The layout of a table in lines of text with styles, and its title, caption and footnotes, for every output format."""

from collections.abc import Iterable
from itertools import takewhile
from typing import NamedTuple

import pandas as pd

from analysis.rows import Cell, Row
from analysis.tables import Table

#: What the two styles mean.
LEGEND = (("best mean of the column", "bold"), ("strongest attack of the row", "underline"))

_OVER_BETA = {
    "each": "A row for each beta_atk.",
    "minimum": "Of several beta_atk, the minimum of the accuracies.",
    "per-sample": "Of several beta_atk, the worst for each example (per-sample worst case).",
}

_KINDS = {
    "ensemble": "An ensemble leaves right what each of its attacks leaves right.",
    "area": "Areas under accuracy against eps are divided by the range of eps.",
    "cost": "Costs in seconds.",
}

_BY_LAST = "{}: an example is right if the attack's last iterate is, as the paper counts; --counting any asks it of every one."

_DOUBTS = "† The row fails a check of obfuscated gradients, so its accuracies under attack may be too high: see the footnotes."

_CITED = "Rows marked cited are numbers that the paper quotes from other works."

_SEEDS = "Mean ± sample standard deviation over seeds; best and worst: one seed for the whole row, by its strongest attack."


class Sheet(NamedTuple):
    """A table laid out in lines.

    ``header``: names of the columns. ``text`` and ``style``: frames of one shape with numbered columns; a style is "", "bold",
    "underline" or both words. ``numbers``: the columns that hold numbers. ``blocks``: lines at which another checkpoint
    starts; ``gaps``: lines at which a row of the table starts, where it or the row above has several lines.
    """

    header: list[str]
    text: pd.DataFrame
    style: pd.DataFrame
    numbers: range
    blocks: set[int]
    gaps: set[int]


def sheet(table: Table) -> Sheet:
    """Lay out a table: one or several lines for each row, and a label only where it differs from the one above."""
    names = ["ckpt", *table.factors, "seed"]
    header = [*names, *(column.label for column in table.columns), "seeds"]
    text: list[list[str]] = []
    style: list[list[str]] = []
    blocks, gaps = set(), set()
    above: list[str] = []
    height = 0
    for block in table.blocks:
        blocks.add(len(text))
        for row in block.rows:
            lines = _lines(row, table)
            if max(height, len(lines)) > 1:
                gaps.add(len(text))
            height = len(lines)
            labels = [block.checkpoint, *map(_label, row.labels)]
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(labels, above, strict=False)))
            left, above, seeds = [""] * same + labels[same:], labels, _seeds(row, table)
            for name, cells, styles in lines:
                text.append([*left, name, *cells, seeds])
                style.append([*[""] * len(names), *styles, ""])
                left, seeds = [""] * len(left), ""
    columns = range(len(header))
    frames = [pd.DataFrame(words, columns=columns, dtype=object) for words in (text, style)]
    return Sheet(header, frames[0], frames[1], columns[len(names) : -1], blocks - {0}, gaps - blocks)


def title(table: Table) -> str:
    """Write the table's title: the study's name, reference and title in one line."""
    m = table.manifest
    return f"{m.study} ({m.reference}): {m.title}"


def caption(table: Table) -> str:
    """Write the table's caption: sentences on units, profile, seeds and checkpoints."""
    m = table.manifest
    settings = ", ".join([f"Profile {m.profile}", *(f"{name} = {value}" for name, value in m.overrides.items())])
    examples = " or ".join(f"{n:,}" for n in table.examples)
    kinds = {column.kind for column in m.columns}
    sentences = [f"{settings}."]
    if kinds & {"accuracy", "ensemble"}:
        sentences.append(f"Accuracy in percent on {examples} test examples." if examples else "Accuracy in percent.")
    sentences += [sentence for kind, sentence in _KINDS.items() if kind in kinds]
    by_beta = {column.label for column in m.columns if column.kind == "accuracy"}
    if any(len(reads) > 1 for arm in m.arms for label, reads in arm.reads.items() if label in by_beta):
        sentences.append(_OVER_BETA[table.over_beta])
    if table.by_last:
        sentences.append(_BY_LAST.format(", ".join(table.by_last)))
    if any(len(row.seeds) > 1 for block in table.blocks for row in block.rows):
        sentences.append(_SEEDS)
    if any(block.checkpoint == "best" for block in table.blocks):
        split = "the TEST split (as in the paper)" if m.selection == "test" else f"the {m.selection} split"
        sentences.append(f"Best checkpoint chosen on {split}.")
    if any(row.cited for block in table.blocks for row in block.rows):
        sentences.append(_CITED)
    if any(row.doubts for block in table.blocks for row in block.rows):
        sentences.append(_DOUBTS)
    return " ".join(sentences)


def notes(table: Table) -> list[str]:
    """Write the footnotes, numbered as in the column of seeds."""
    return [f"[{i}] {note}" for i, note in enumerate(table.notes, 1)]


def _lines(row: Row, table: Table) -> list[tuple[str, list[str], list[str]]]:
    """Lay out a row: for each line its name, texts and styles. A single seed has one line: it is mean, best and worst.

    A mean over fewer seeds than the row has, and a number that is missing, have the mark of a footnote.
    """

    def show(numbers: Iterable[tuple[float | None, float | None] | None]) -> list[str]:
        return ["–" if pair is None else _percent(*pair) for pair in numbers]

    def marked(cell: Cell | None) -> str:
        if cell is None:
            return "–"
        return _percent(cell.mean, cell.std) + (f" [{table.notes.index(cell.note) + 1}]" if cell.note else "")

    plain = [""] * len(row.cells)
    styles = [" ".join(name for name in ("bold", "underline") if getattr(cell, name, False)) for cell in row.cells]
    if row.cited:
        return [
            ("cited", show((cell.paper.value, cell.paper.std) if cell and cell.paper else None for cell in row.cells), plain)
        ]
    name = str(row.seeds[0]) if len(row.seeds) == 1 else "mean"
    lines = [(name, [*map(marked, row.cells)], styles)]
    for end, seed in (("best", row.best), ("worst", row.worst)):
        if seed is not None and len(row.seeds) > 1:
            values = show((cell.values.get(seed), None) if cell else None for cell in row.cells)
            lines.append((f"{end} ({seed})", values, plain))
    for name, of in (("paper", ""), ("paper best", "best"), ("paper worst", "worst")):
        papers = [cell and (cell.paper_ends.get(of) if of else cell.paper) for cell in row.cells]
        if any(papers):
            lines.append((name, show((paper.value, paper.std) if paper else None for paper in papers), plain))
    return lines


def _percent(value: float | None, std: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if std is None else f"{value:.2f} ± {std:.2f}"


def _label(label: str) -> str:
    """Write a factor's label, or a beta_atk as the papers print it."""
    return label.replace("inf", "∞", 1) if label == "inf" or label.startswith("inf-") else label or "–"


def _seeds(row: Row, table: Table) -> str:
    """Write the finished seeds of a row, such as ``2/2``, with its footnotes, and a dagger where its robustness is in doubt."""
    if row.cited:
        return ""
    marks = ",".join(str(table.notes.index(note) + 1) for note in (*row.notes, *row.doubts))
    return f"{len(row.seeds)}/{row.asked}" + (" †" if row.doubts else "") + (f" [{marks}]" if marks else "")
