"""The numbers that the papers print, from ``reference/<paper>-<slug>.csv``: a file for each table, or figure with numbers.

A file has a column for each factor, then ``checkpoint,column,value,std``; numbers that are missing or illegible are left out.
Labels are the paper's, but for common terms: Natural for clean images, Vanilla for a network without a module, the method's
name for "ours". The label of a transferred attack ends in (BB), or in the network that it comes from.
cas-table-13 has multiples of the training's eps in place of 2/255 to 32/255, and cifs-table-4 its rows, which are attacks, as
columns.
The factors are ``objective`` and ``module`` where a table combines the two, ``defense`` where its rows are complete methods.
``restart`` is no factor: it says which of several trainings a row is, the best, the worst, or ("-") the only one or their
mean; they correspond to our best and worst seed. infofeature-table-4 and -5 are of the best alone.
Of a figure they are the points of networks that a table or the text gives numbers of.
Where a paper does not say which checkpoint it shows, the file has the one that its protocol implies. afd-table-1-cited has
the rows of that table that are quoted from other papers; of methods that it also has itself on that network, their authors are
named.
"""

import csv
from importlib.resources import files
from typing import NamedTuple


class Number(NamedTuple):
    """A number that a paper prints, and its standard deviation where it prints one.

    ``seed``: ``best`` or ``worst`` where it is of the best or worst of several trainings; "" for one training or their mean.
    In percent, but for cifs-cost (seconds), afd-table-2 (area under a curve, at most 1), afd-table-a5 (dimensions) and
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
    """Read the printed numbers of the study ``paper/slug``, in the order of its file; empty where there is no file."""
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
