"""The rows of a table and their cells, and which of their numbers are highlighted."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from analysis.record.manifest import ManifestColumn, ManifestNumber


@dataclass(frozen=True)
class Cell:
    """The numbers of one row in one column.

    ``values``: by seed, of those that have the number, in percent, except for areas, measures and costs. ``mean``: over these
    seeds, None where there are none; ``std``: the sample standard deviation, None with fewer than two. ``paper``: the paper's
    number; ``paper_ends``: the paper's number of its ``best`` and ``worst`` training. ``note``: of which seeds the number is,
    and why the others of the row lack it; "" where none does. ``bold``: the best mean of its column. ``underline``: the
    strongest attack of its row.
    """

    values: dict[int, float]
    mean: float | None
    std: float | None
    paper: ManifestNumber | None
    paper_ends: Mapping[str, ManifestNumber] = field(default_factory=dict)
    note: str = ""
    bold: bool = False
    underline: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table: an arm, or an arm under one beta_atk, which is its last label then ("" where none applies).

    ``cells``: one for each column, None where the column does not apply to the arm. ``seeds``: those that have a number in the
    row; ``asked``: how many the study asks for. ``best`` and ``worst``: a seed each, of those that have a number under every
    attack under which any seed of the row has one; None where fewer than two of several seeds have all. ``notes``: the arm's
    remarks, why seeds are missing, and which were recorded under older numerics. ``doubts``: the checks of
    :mod:`analysis.checks` that the arm fails. ``cited``: whether it is a row that the paper quotes from another, with no number
    but the paper's.
    """

    labels: tuple[str, ...]
    cells: tuple[Cell | None, ...]
    seeds: tuple[int, ...]
    asked: int
    best: int | None
    worst: int | None
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    cited: bool = False


def highlighted(rows: Sequence[Row], columns: Sequence[ManifestColumn], *, compared: bool) -> tuple[Row, ...]:
    """Make the best mean of each column bold, if the rows are ``compared``, and underline the strongest attack of each row."""
    # A measure or a cost has no direction in which it is better.
    judged = [column.kind not in {"measure", "cost"} and compared for column in columns]
    tops = [max(_means(row.cells[i] for row in rows), default=None) if judge else None for i, judge in enumerate(judged)]
    marked = []
    for row in rows:
        pairs = list(zip(row.cells, columns, strict=True))
        lowest = min(_means(cell for cell, column in pairs if column.adversarial), default=None)
        cells = (
            cell and replace(cell, bold=_equal(cell.mean, top), underline=column.adversarial and _equal(cell.mean, lowest))
            for (cell, column), top in zip(pairs, tops, strict=True)
        )
        marked.append(replace(row, cells=tuple(cells)))
    return tuple(marked)


def _means(cells: Iterable[Cell | None]) -> list[float]:
    return [cell.mean for cell in cells if cell is not None and cell.mean is not None]


def _equal(a: float | None, b: float | None) -> bool:
    """Whether two means exist and are equal up to the rounding of their sums."""
    return a is not None and b is not None and math.isclose(a, b, abs_tol=1e-9)
