"""A study's table as data: every number that is printed, without formatting (see :mod:`analysis.render`).

Accuracies are in percent, as in the papers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.by_beta import by_beta
from analysis.cells import CellReader
from analysis.checks import check, failures
from analysis.numerics import Versions, resolved
from analysis.record.load import Record
from analysis.record.manifest import SEED, Manifest, ManifestArm, ManifestColumn, ManifestNumber
from analysis.rows import Cell, Row, highlighted
from analysis.stats import over_seeds

Checkpoint = Literal["last", "best", "both"]
OverBeta = Literal["minimum", "per-sample", "each"]
Counting = Literal["paper", "any"]


@dataclass(frozen=True)
class Block:
    """The rows of one checkpoint, ``last`` or ``best``."""

    checkpoint: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A study's table, a block of rows for each checkpoint.

    ``over_beta``: how accuracies under several beta_atk were reduced; ``each``: a row for each beta_atk, its last label.
    ``examples``: the numbers of test examples behind the accuracies; several where attacks ran on samples of the test set.
    ``counting``: ``paper``, where columns beside the paper's numbers count as the paper does, by the attack's last iterate; or
    ``any``, where an example is right in every column of which each iterate is.
    """

    manifest: Manifest
    over_beta: OverBeta
    examples: tuple[int, ...]
    blocks: tuple[Block, ...]
    counting: Counting = "paper"

    @property
    def by_last(self) -> tuple[str, ...]:
        """Labels of the columns that count by the attack's last iterate."""
        return tuple(column.label for column in self.columns if column.last) if self.counting == "paper" else ()

    @property
    def columns(self) -> tuple[ManifestColumn, ...]:
        """The column of each cell of a row."""
        return self.manifest.columns

    @property
    def factors(self) -> tuple[str, ...]:
        """The name of each label of a row."""
        return (*self.manifest.factors, "beta_atk") if self.over_beta == "each" else self.manifest.factors

    @property
    def complete(self) -> bool:
        """Whether every seed that the study asks for has a number in each column that applies to its row."""
        rows = (row for block in self.blocks for row in block.rows)
        return all(len(cell.values) == row.asked for row in rows for cell in row.cells if cell is not None)

    @property
    def notes(self) -> tuple[str, ...]:
        """The footnotes, each once, in the order of the rows."""
        return tuple(dict.fromkeys(note for block in self.blocks for row in block.rows for note in _footnotes(row)))


def _footnotes(row: Row) -> tuple[str, ...]:
    """List the footnotes of a row: those of its cells, and its own."""
    return (*(cell.note for cell in row.cells if cell and cell.note), *row.notes, *row.doubts)


def build(
    record: Record,
    manifest: Manifest,
    *,
    checkpoint: Checkpoint,
    over_beta: OverBeta,
    counting: Counting = "paper",
    present: Versions = MappingProxyType({}),
) -> Table:
    """Build the table of a study.

    Args:
        record: the frames of the storage.
        manifest: the study as it was run.
        checkpoint: ``last``, ``best`` or ``both``.
        over_beta: how accuracies under several beta_atk are reduced: their ``minimum``, the ``per-sample`` worst case, or
            ``each`` in its own row (always so for a study with ``rows_by_beta``).
        counting: see :class:`Table`. Best and worst seed, and the checks, count by any iterate in either.
        present: versions of the code that computes numbers now; a row with numbers of other versions gets a note. Numbers under
            older numerics are shown where there are no newer ones.

    Raises:
        BrokenRecordError: an evaluation's accuracy is not that of its ranks.
    """
    over_beta = "each" if manifest.rows_by_beta else over_beta
    manifest = resolved(manifest, record)
    if manifest.profile != "paper":
        manifest = replace(manifest, printed=(), cited=())
    cells = CellReader(record, over_beta == "per-sample", present)
    papers = {(n.labels, n.checkpoint, n.column, n.seed): n for n in (*manifest.cited, *manifest.printed)}
    inputs = _Inputs(manifest.columns, cells, papers, counting == "paper" and any(column.last for column in manifest.columns))
    checkpoints = ("last", "best") if checkpoint == "both" else (checkpoint,)
    equal = {name: names for names in manifest.equal_rows for name in names}
    blocks = []
    for name in checkpoints:
        checked = check(record, manifest, name)
        rows: list[Row] = []
        for arm in manifest.arms:
            doubts = tuple(f"check failed: {item.name}: {item.figures}" for item in failures(checked[arm.labels]))
            rows.extend(
                _noted(replace(_row(inputs, shown, name), doubts=doubts), equal.get(", ".join(arm.labels), ()))
                for shown in by_beta(arm, manifest.columns, over_beta)
            )
        marked = highlighted(rows, manifest.columns, compared=SEED not in manifest.factors)
        blocks.append(Block(name, (*marked, *_cited(manifest, name))))
    return Table(manifest, over_beta, tuple(sorted(cells.examples)), tuple(blocks), counting)


def _noted(row: Row, equal: Sequence[str]) -> Row:
    """Note at a row which rows are the same training, if any are."""
    return replace(row, notes=(*row.notes, f"one and the same training: {'; '.join(equal)}")) if equal else row


class _Inputs(NamedTuple):
    """The inputs of every row.

    ``paper``: the paper's numbers by labels, checkpoint, column and seed. ``last``: whether columns count by the last iterate.
    """

    columns: tuple[ManifestColumn, ...]
    cells: CellReader
    paper: Mapping[tuple[tuple[str, ...], str, str, str], ManifestNumber]
    last: bool


def _row(inputs: _Inputs, arm: ManifestArm, checkpoint: str) -> Row:
    columns = [column for column in inputs.columns if column.label in arm.columns]
    by_seed = dict(sorted((int(seed), trial) for seed, trial in arm.trials.items()))
    notes = {seed: why for seed, trial in by_seed.items() if (why := inputs.cells.missing(trial))}
    trained = [seed for seed in by_seed if seed not in notes]
    values, there, reasons = _numbers(inputs, [by_seed[seed] for seed in trained], checkpoint, arm, columns)
    kept: NDArray[np.bool_] = np.asarray(there.any(axis=1)) if columns else np.ones(len(trained), bool)
    notes |= {trained[i]: f"trained, {', '.join(dict.fromkeys(reasons[i].values()))}" for i in np.flatnonzero(~kept)}
    seeds = tuple(compress(trained, kept))
    older = dict(zip(seeds, inputs.cells.outdated([by_seed[seed] for seed in seeds], checkpoint, arm), strict=True))
    notes |= {seed: f"recorded under an older numerics of {', '.join(names)}" for seed, names in older.items() if names}
    lines = [*arm.remarks, *(f"seed {seed}: {note}" for seed, note in sorted(notes.items()))]
    papers = {column: _printed(inputs, arm.labels, checkpoint, column.label) for column in columns}
    if not seeds or not columns:
        cells = {column: Cell({}, None, None, *papers[column]) for column in columns}
        return Row(arm.labels, tuple(map(cells.get, inputs.columns)), seeds, len(arm.trials), None, None, tuple(lines))
    values, there, lacks = values[kept], there[kept], [*compress(reasons, kept)]
    adversarial = np.array([column.adversarial for column in columns])
    summary = over_seeds(values, there, np.array(seeds), adversarial)
    if inputs.last:
        by_any = inputs._replace(last=False)
        stricter, known, _ = _numbers(by_any, [by_seed[seed] for seed in seeds], checkpoint, arm, columns)
        ends = over_seeds(stricter, known & there, np.array(seeds), adversarial)
        summary = summary._replace(ranked=ends.ranked, best=ends.best, worst=ends.worst)
    if len(summary.ranked) < len(seeds):
        of = ", ".join(str(seeds[i]) for i in summary.ranked)
        lines.append(f"best and worst of seeds {of}" if summary.best is not None else "no best and worst: seeds lack attacks")
    cells = {
        column: _cell(
            dict(zip(compress(seeds, there[:, i]), values[there[:, i], i].tolist(), strict=True)),
            {seed: reason[i] for seed, reason in zip(seeds, lacks, strict=True) if i in reason},
            float(summary.mean[i]),
            float(summary.std[i]),
            papers[column],
        )
        for i, column in enumerate(columns)
    }
    best, worst = (None if end is None else seeds[end] for end in (summary.best, summary.worst))
    return Row(arm.labels, tuple(map(cells.get, inputs.columns)), seeds, len(arm.trials), best, worst, tuple(lines))


def _cell(
    values: dict[int, float],
    why: Mapping[int, str],
    mean: float,
    std: float,
    papers: tuple[ManifestNumber | None, Mapping[str, ManifestNumber]],
) -> Cell:
    """Make a cell of the numbers of a row's seeds, and note ``why`` some have none."""
    lacking = [f"seed {seed}: {reason}" for seed, reason in why.items()]
    of = [f"of {'seeds' if len(values) > 1 else 'seed'} {', '.join(map(str, values))} alone"] if values and lacking else []
    several = len(values) > 1
    return Cell(values, mean if values else None, std if several else None, *papers, note="; ".join((*of, *lacking)))


def _cited(manifest: Manifest, checkpoint: str) -> list[Row]:
    """Make the rows that the paper quotes from others, but for those that are arms."""
    arms = {arm.labels for arm in manifest.arms}
    there = {(n.labels, n.column): n for n in manifest.cited if n.labels not in arms and n.checkpoint == checkpoint}
    rows: list[Row] = []
    for labels in dict.fromkeys(labels for labels, _ in there):
        found = (there.get((labels, column.label)) for column in manifest.columns)
        cells = tuple(Cell({}, None, None, number) if number else None for number in found)
        rows.append(Row(labels, cells, (), 0, None, None, (), cited=True))
    return rows


def _printed(
    inputs: _Inputs, labels: tuple[str, ...], checkpoint: str, column: str
) -> tuple[ManifestNumber | None, dict[str, ManifestNumber]]:
    """Find the paper's number for a cell, and those of its best and worst training."""
    found = {seed: inputs.paper.get((labels, checkpoint, column, seed)) for seed in ("", "best", "worst")}
    return found.pop(""), {seed: number for seed, number in found.items() if number}


def _numbers(
    inputs: _Inputs, trials: Sequence[str], checkpoint: str, arm: ManifestArm, columns: Sequence[ManifestColumn]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[dict[int, str]]]:
    """Read the numbers (trials, columns) of trials of ``arm``, which of them are there, and why others are not, by column."""
    values, there = np.empty((len(trials), len(columns))), np.zeros((len(trials), len(columns)), bool)
    why: list[dict[int, str]] = [{} for _ in trials]
    for i, column in enumerate(arm.own(column) for column in columns):
        values[:, i], there[:, i] = inputs.cells.numbers(trials, checkpoint, arm, column, last=inputs.last)
        for lacking in np.flatnonzero(~there[:, i]).tolist():
            why[lacking][i] = inputs.cells.lacking(trials[lacking], checkpoint, arm, column)
    return values, there, why
