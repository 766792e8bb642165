"""The numbers that the papers print, from ``reference/<paper>-<slug>.csv``: one file a table, or a figure with numbers.

A file has a column for each factor, then ``checkpoint,column,value,std``; a cell that is empty or illegible is left out.
Labels are the paper's own, with one word for what the papers share: Natural for clean images, Vanilla for no module in the
network, a method's name for "ours". Behind an attack that was made on another network stands (BB), or that network.
cas-table-13 has multiples of the training's eps for 2/255 to 32/255, and cifs-table-4 its rows, which are attacks, in the
columns.
``objective`` and ``module`` are the factors where a table crosses the two, ``defense`` where its rows are whole methods.
infofeature-table-3's ``restart`` is no factor: it says which of several trainings a row is, the best, the worst, or ("-") the
only one. These are our best and worst seed.
Where a paper does not say which checkpoint it shows, the file has the one that its protocol implies. afd-table-1-cited has
the rows of that table which quote other papers.
"""

import csv
from importlib.resources import files
from typing import NamedTuple


class Number(NamedTuple):
    """A number that the paper prints, and its standard deviation where there is one.

    ``seed``: which of several trainings it is of, ``best`` or ``worst``; "" where the paper has one, or their mean.
    Percent, but for cifs-cost (seconds), afd-table-2 (area under a curve, at most 1), afd-table-a5 (dimensions) and
    infofeature-table-2 (distance times 1e5).
    """

    labels: tuple[str, ...]
    checkpoint: str
    column: str
    value: float
    std: float | None
    seed: str = ""


_SEEDS = {"-": "", "Best Model": "best", "Worst Model": "worst"}


def printed(name: str) -> tuple[Number, ...]:
    """The numbers of ``paper/slug``, in the order of the file; empty where there is none."""
    source = files("search_spaces").joinpath("reference", name.replace("/", "-") + ".csv")
    if not source.is_file():
        return ()
    rows = csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    factors = [field for field in rows.fieldnames or () if field not in {"restart", "checkpoint", "column", "value", "std"}]
    return tuple(
        Number(
            labels=tuple(row[factor] for factor in factors),
            checkpoint=row["checkpoint"],
            column=row["column"],
            value=float(row["value"]),
            std=float(row["std"]) if row["std"] else None,
            seed=_SEEDS[row.get("restart", "-")],
        )
        for row in rows
    )
