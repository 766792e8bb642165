"""A study's table as data: every number that is printed, and no formatting (see :mod:`analysis.render`).

Accuracies are in percent here, as in the papers.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

from analysis.cells import Cells
from analysis.checks import check, failures
from analysis.load import Record
from analysis.schema import Manifest, ManifestArm, ManifestColumn, ManifestNumber
from analysis.stats import over_seeds

Checkpoint = Literal["last", "best", "both"]
OverBeta = Literal["minimum", "per-sample", "each"]


@dataclass(frozen=True)
class Cell:
    """One column of a row.

    ``values``: by finished seed, in the column's unit: percent, but for areas, measures and costs. ``mean`` and ``std``: None
    without seeds; ``std`` also with a single one. ``paper``: what the paper prints here; ``paper_ends``: of its ``best`` and
    ``worst`` training. ``bold``: best mean of its column. ``underline``: strongest attack of its row.
    """

    values: dict[int, float]
    mean: float | None
    std: float | None
    paper: ManifestNumber | None
    paper_ends: Mapping[str, ManifestNumber] = field(default_factory=dict)
    bold: bool = False
    underline: bool = False


@dataclass(frozen=True)
class Row:
    """An arm, or one beta_atk of an arm (its last label then; "" where nothing depends on it).

    ``cells``: one a column, None where the column means nothing for this arm. ``seeds``: those that finished, of
    ``asked`` ones. ``best`` and ``worst``: the seed, None without any. ``notes``: why the other seeds are not in it.
    ``doubts``: the checks of :mod:`analysis.checks` that its arm fails.
    """

    labels: tuple[str, ...]
    cells: tuple[Cell | None, ...]
    seeds: tuple[int, ...]
    asked: int
    best: int | None
    worst: int | None
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """The rows of one checkpoint, ``last`` or ``best``."""

    checkpoint: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """Everything to print.

    ``over_beta``: how beta_atk was reduced; ``each`` means a row for each, with beta_atk as its last label.
    ``examples``: numbers of test examples behind the accuracies; one, unless attacks ran on different ones.
    """

    manifest: Manifest
    over_beta: OverBeta
    examples: tuple[int, ...]
    blocks: tuple[Block, ...]

    @property
    def columns(self) -> tuple[ManifestColumn, ...]:
        """What each of a row's cells is."""
        return self.manifest.columns

    @property
    def factors(self) -> tuple[str, ...]:
        """A name for each of a row's labels."""
        return (*self.manifest.factors, "beta_atk") if self.over_beta == "each" else self.manifest.factors

    @property
    def notes(self) -> tuple[str, ...]:
        """The footnotes, each once, in the order of the rows."""
        return tuple(dict.fromkeys(n for block in self.blocks for row in block.rows for n in (*row.notes, *row.doubts)))


def build(record: Record, manifest: Manifest, *, checkpoint: Checkpoint, over_beta: OverBeta) -> Table:
    """The table of a study.

    ``over_beta``: what counts where an attack was run with several beta_atk: the ``minimum`` of the accuracies, the
    ``per-sample`` worst case, or ``each`` in a row of its own (which studies with rows by beta always have).

    Raises:
        BrokenRecordError: an evaluation's accuracy is not that of its ranks.
    """
    over_beta = "each" if manifest.rows_by_beta else over_beta
    cells = Cells(record, over_beta == "per-sample")
    printed = manifest.printed if manifest.profile == "paper" else ()
    source = _Source(manifest.columns, cells, {(n.labels, n.checkpoint, n.column, n.seed): n for n in printed})
    checkpoints = ("last", "best") if checkpoint == "both" else (checkpoint,)
    blocks = []
    for name in checkpoints:
        checked = check(record, manifest, name)
        rows: list[Row] = []
        for arm in manifest.arms:
            doubts = tuple(f"check failed: {item.name}: {item.figures}" for item in failures(checked[arm.labels]))
            rows.extend(
                replace(_row(source, arm, name, part), doubts=doubts) for part in _parts(arm, manifest.columns, over_beta)
            )
        blocks.append(Block(name, _highlighted(rows, manifest.columns)))
    return Table(manifest, over_beta, tuple(sorted(cells.examples)), tuple(blocks))


class _Part(NamedTuple):
    """What a row shows of its arm. ``reads``: keys by column, as the arm's; only columns that mean something here."""

    labels: tuple[str, ...]
    reads: Mapping[str, Mapping[str, str]]


def _parts(arm: ManifestArm, columns: Sequence[ManifestColumn], over_beta: OverBeta) -> list[_Part]:
    """The rows that an arm becomes: one, or one for each beta_atk. What has no beta_atk stands in the first of them."""
    if over_beta != "each":
        return [_Part(arm.labels, {column: keys for column, keys in arm.reads.items() if keys})]
    by_beta = {column.label for column in columns if column.kind == "accuracy"}
    betas = list(dict.fromkeys(b for column, keys in arm.reads.items() if column in by_beta for b in keys if b)) or [""]
    parts = []
    for beta in betas:
        first = beta == betas[0]
        reads = {
            column: {b: key for b, key in keys.items() if b == beta or (first and not b)} if column in by_beta else keys
            for column, keys in arm.reads.items()
            if first or column in by_beta
        }
        parts.append(_Part((*arm.labels, beta), {column: keys for column, keys in reads.items() if keys}))
    return parts


class _Source(NamedTuple):
    """What the rows are made from: columns, the record, and the paper's numbers by labels, checkpoint, column and seed."""

    columns: tuple[ManifestColumn, ...]
    cells: Cells
    paper: Mapping[tuple[tuple[str, ...], str, str, str], ManifestNumber]


def _row(source: _Source, arm: ManifestArm, checkpoint: str, part: _Part) -> Row:
    columns = [column for column in source.columns if column.label in part.reads]
    values: dict[int, list[float]] = {}
    notes = []
    for seed, trial in sorted((int(seed), trial) for seed, trial in arm.trials.items()):
        found = _values(source, trial, checkpoint, [arm.own(column) for column in columns], part)
        if isinstance(found, str):
            notes.append(f"seed {seed}: {found}")
        else:
            values[seed] = found
    seeds = tuple(values)
    papers = {column: _printed(source, part.labels, checkpoint, column.label) for column in columns}
    if not seeds or not columns:
        cells = {column: Cell({}, None, None, *papers[column]) for column in columns}
        best = worst = None
    else:
        adversarial = np.array([column.adversarial for column in columns])
        summary = over_seeds(np.array([values[seed] for seed in seeds]), np.array(seeds), adversarial)
        best, worst = seeds[summary.best], seeds[summary.worst]
        cells = {}
        for i, column in enumerate(columns):
            std = float(summary.std[i]) if len(seeds) > 1 else None
            cells[column] = Cell({seed: values[seed][i] for seed in seeds}, float(summary.mean[i]), std, *papers[column])
    return Row(part.labels, tuple(map(cells.get, source.columns)), seeds, len(arm.trials), best, worst, tuple(notes))


def _printed(
    source: _Source, labels: tuple[str, ...], checkpoint: str, column: str
) -> tuple[ManifestNumber | None, dict[str, ManifestNumber]]:
    """What the paper has in a cell, and of its best and worst training."""
    found = {seed: source.paper.get((labels, checkpoint, column, seed)) for seed in ("", "best", "worst")}
    return found.pop(""), {seed: number for seed, number in found.items() if number}


def _values(source: _Source, trial: str, checkpoint: str, columns: Sequence[ManifestColumn], part: _Part) -> list[float] | str:
    """The trial's value in each of ``columns``, or why it is not in the table."""
    if why := source.cells.missing(trial):
        return why
    found = [source.cells.value(trial, checkpoint, part.reads[column.label], column) for column in columns]
    values = [value for value in found if value is not None]
    missing = len(found) - len(values)
    if not missing:
        return values  # even if it failed since, in another study's attack
    return source.cells.reason(trial) or f"trained, {missing} of {len(found)} columns not evaluated yet"


def _highlighted(rows: Sequence[Row], columns: Sequence[ManifestColumn]) -> tuple[Row, ...]:
    """The rows of one checkpoint with the best mean of each column bold and the strongest attack of each row underlined."""
    # Whether more of a measure or of a cost is better is not for a table to say.
    judged = [column.kind not in {"measure", "cost"} for column in columns]
    tops = [max(_means(row.cells[i] for row in rows), default=None) if judge else None for i, judge in enumerate(judged)]
    highlighted = []
    for row in rows:
        pairs = list(zip(row.cells, columns, strict=True))
        lowest = min(_means(cell for cell, column in pairs if column.adversarial), default=None)
        cells = (
            cell and replace(cell, bold=_equal(cell.mean, top), underline=column.adversarial and _equal(cell.mean, lowest))
            for (cell, column), top in zip(pairs, tops, strict=True)
        )
        highlighted.append(replace(row, cells=tuple(cells)))
    return tuple(highlighted)


def _means(cells: Iterable[Cell | None]) -> list[float]:
    return [cell.mean for cell in cells if cell is not None and cell.mean is not None]


def _equal(a: float | None, b: float | None) -> bool:
    """Whether two means are there and one number, whatever order their seeds were added in."""
    return a is not None and b is not None and math.isclose(a, b, abs_tol=1e-9)
