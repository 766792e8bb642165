"""A part of what studies need: some rows and columns of their tables, to be run before the others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple, Self

from orchestrator.errors import BadInput, suggest

#: Labels of rows by the name of a factor, or one label.
Where = Mapping[str, str | Sequence[str]]


class Shape(NamedTuple):
    """What of a study can be selected: names of its factors, the labels of each row, and the labels of its columns."""

    factors: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """Rows and columns of studies; by default all.

    ``where``: by the name of a factor the labels of which a row must have one: in full (``β = 0.1``), only the value (``0.1``),
    or a pattern (``β*``). A study without that factor has no such row. ``columns``: patterns, of which a column's label, or
    that of a panel of the figure, must match one; empty for all.
    """

    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, where: Where | None, columns: Sequence[str]) -> Self:
        """Make a selection of the arguments of a function."""
        found = (where or {}).items()
        return cls({f: (labels,) if isinstance(labels, str) else tuple(labels) for f, labels in found}, tuple(columns))

    def has_row(self, factors: Iterable[str], labels: Iterable[str]) -> bool:
        """Whether a row with these labels of these factors is selected."""
        row = dict(zip(factors, labels, strict=True))
        return all(f in row and any(_matches(row[f], wanted) for wanted in some) for f, some in self.where.items())

    def has_column(self, label: str) -> bool:
        """Whether a column or panel of this label is selected."""
        return not self.columns or any(_matches(label, wanted) for wanted in self.columns)

    def check(self, shapes: Sequence[Shape]) -> None:
        """Check that each name occurs in some study, and that a row is selected.

        Raises:
            BadInput: not so; the message says what there is.
        """
        for factor, some in self.where.items():
            known = tuple(dict.fromkeys(name for shape in shapes for name in shape.factors))
            if factor not in known:
                raise BadInput(f"--where {factor}={some[0]}: no such factor in these studies; {suggest(factor, known)}")
            there = [row[shape.factors.index(factor)] for shape in shapes if factor in shape.factors for row in shape.rows]
            for wanted in some:
                if not any(_matches(label, wanted) for label in there):
                    labels = ", ".join(dict.fromkeys(there))
                    raise BadInput(f"--where {factor}={wanted}: no row has that label; allowed: {labels}")
        columns = tuple(dict.fromkeys(label for shape in shapes for label in shape.columns))
        for wanted in self.columns:
            if not any(_matches(label, wanted) for label in columns):
                raise BadInput(f"--columns {wanted!r}: no column matches; allowed: {', '.join(columns)}")
        if not any(self.has_row(shape.factors, row) for shape in shapes for row in shape.rows):
            raise BadInput(f"--where: no row has all of {', '.join(self.where)} as asked for")


#: All rows and columns.
EVERYTHING = Selection()


def parse_where(texts: Iterable[str]) -> dict[str, list[str]]:
    """Parse ``FACTOR=LABEL`` texts: labels by factor.

    Raises:
        BadInput: a text has no ``=``.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        factor, equals, label = (part.strip() for part in text.partition("="))
        if not equals or not factor or not label:
            raise BadInput(f"--where {text!r}: write FACTOR=LABEL, as in --where module=CIFS")
        found.setdefault(factor, []).append(label)
    return found


def _matches(label: str, wanted: str) -> bool:
    return wanted in {label, label.rpartition(" = ")[2]} or fnmatchcase(label, wanted)
