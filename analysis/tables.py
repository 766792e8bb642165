"""A study's table as data: every number that is printed, and no formatting (see :mod:`analysis.render`).

Accuracies are in percent here, as in the papers.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.checks import check, failures
from analysis.load import BrokenRecordError, Record
from analysis.schema import FAILED, Manifest, ManifestArm, ManifestColumn, ManifestNumber
from analysis.stats import over_beta as reduce_beta
from analysis.stats import over_seeds

Checkpoint = Literal["last", "best", "both"]
OverBeta = Literal["minimum", "per-sample", "each"]


@dataclass(frozen=True)
class Cell:
    """One column of a row.

    ``values``: percent by finished seed. ``mean`` and ``std``: None without seeds; ``std`` also with a single one.
    ``paper``: what the paper prints here. ``bold``: best mean of its column. ``underline``: strongest attack of its row.
    """

    values: dict[int, float]
    mean: float | None
    std: float | None
    paper: ManifestNumber | None
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
    source = _Source(record, manifest, over_beta)
    checkpoints = ("last", "best") if checkpoint == "both" else (checkpoint,)
    blocks = []
    for name in checkpoints:
        checked = check(record, manifest, name)
        rows: list[Row] = []
        for arm in manifest.arms:
            doubts = tuple(f"check failed: {item.name}: {item.figures}" for item in failures(checked[arm.labels]))
            rows.extend(replace(_row(source, arm, name, part), doubts=doubts) for part in _parts(arm, over_beta))
        blocks.append(Block(name, _highlighted(rows, manifest.columns)))
    return Table(manifest, over_beta, tuple(sorted(source.examples)), tuple(blocks))


class _Part(NamedTuple):
    """What a row shows of its arm. ``attacks``: the attacks' keys by column; only columns that mean something here."""

    labels: tuple[str, ...]
    attacks: Mapping[str, Sequence[str]]


def _parts(arm: ManifestArm, over_beta: OverBeta) -> list[_Part]:
    """The rows that an arm becomes: one, or one for each beta_atk. What has no beta_atk stands in the first of them."""
    if over_beta != "each":
        return [_Part(arm.labels, {column: tuple(keys.values()) for column, keys in arm.attacks.items() if keys})]
    betas = list(dict.fromkeys(beta for keys in arm.attacks.values() for beta in keys if beta)) or [""]
    parts = []
    for beta in betas:
        shown = {beta, ""} if beta == betas[0] else {beta}
        attacks = {column: [key for b, key in keys.items() if b in shown] for column, keys in arm.attacks.items()}
        parts.append(_Part((*arm.labels, beta), {column: keys for column, keys in attacks.items() if keys}))
    return parts


class _Source:
    """The record as one study sees it. ``examples``: numbers of test examples seen."""

    def __init__(self, record: Record, manifest: Manifest, over_beta: OverBeta) -> None:
        self.columns = manifest.columns
        self.over_beta = over_beta
        printed = manifest.printed if manifest.profile == "paper" else ()
        self.paper = {(n.labels, n.checkpoint, n.column): n for n in printed}
        self.trials: dict[str, Any] = dict(zip(record.trials["trial"], record.trials.itertuples(), strict=True))
        e = record.evaluations
        outcomes = zip(e["accuracy"], e["ranks"], strict=True)
        keys = zip(e["trial"], e["checkpoint"], e["attack"], e["head"], e["complete"], strict=True)
        self.outcomes = dict(zip(keys, outcomes, strict=True))
        self.examples: set[int] = set()

    def accuracy(self, trial: str, checkpoint: str, attacks: Sequence[str], column: ManifestColumn) -> float | None:
        """Percent right in a column under ``attacks``, reduced over them; None as long as one of them is missing."""
        keys = [self._key(trial, checkpoint, attack, column) for attack in attacks]
        found = [key for key in keys if key is not None]
        if len(found) < len(keys):
            return None
        ranks = [self._ranks(*key) for key in found]
        if len({len(r) for r in ranks}) > 1:
            raise BrokenRecordError(f"trial {trial}: attacks {', '.join(attacks)} were run on different numbers of examples")
        reduced = reduce_beta(np.stack(ranks), column.top_k)
        return 100 * (reduced.per_sample if self.over_beta == "per-sample" else reduced.minimum)

    def _key(self, trial: str, checkpoint: str, attack: str, column: ManifestColumn) -> tuple[str, str, str, str, bool] | None:
        """Of the evaluation that the column shows. Where accuracy is all that is asked for, a complete one does as well."""
        ways = (True,) if column.complete else (False, True)
        keys = ((trial, checkpoint, attack, column.head, complete) for complete in ways)
        return next((key for key in keys if key in self.outcomes), None)

    def _ranks(self, trial: str, checkpoint: str, attack: str, head: str, complete: bool) -> NDArray[np.integer]:
        """(N,) ranks that agree with the accuracy beside them."""
        accuracy, ranks = self.outcomes[trial, checkpoint, attack, head, complete]
        if len(ranks) == 0 or not np.isclose(np.mean(ranks == 0), accuracy, rtol=0, atol=1e-6):
            where = f"trial {trial}, {checkpoint} checkpoint, attack {attack}, head {head}"
            raise BrokenRecordError(f"{where}: accuracy {accuracy} is not that of the {len(ranks)} ranks beside it")
        self.examples.add(len(ranks))
        return np.asarray(ranks)

    def missing(self, trial: str) -> str | None:
        """Why the trial is not trained to its end; None if it is."""
        row = self.trials.get(trial)
        if row is None:
            return "not started"
        epochs = json.loads(row.config)["training"]["epochs"]
        if row.epochs >= epochs:
            return None
        return self.reason(trial) or f"unfinished (epoch {row.epochs} of {epochs})"

    def reason(self, trial: str) -> str | None:
        """Why the trial failed; None if it did not."""
        row = self.trials[trial]
        return (row.reason or "failed") if row.status == FAILED else None


def _row(source: _Source, arm: ManifestArm, checkpoint: str, part: _Part) -> Row:
    columns = [column for column in source.columns if column.label in part.attacks]
    values: dict[int, list[float]] = {}
    notes = []
    for seed, trial in sorted((int(seed), trial) for seed, trial in arm.trials.items()):
        found = _values(source, trial, checkpoint, columns, part)
        if isinstance(found, str):
            notes.append(f"seed {seed}: {found}")
        else:
            values[seed] = found
    seeds = tuple(values)
    papers = {column: source.paper.get((part.labels, checkpoint, column.label)) for column in columns}
    if not seeds or not columns:
        cells = {column: Cell({}, None, None, papers[column]) for column in columns}
        best = worst = None
    else:
        adversarial = np.array([column.adversarial for column in columns])
        summary = over_seeds(np.array([values[seed] for seed in seeds]), np.array(seeds), adversarial)
        best, worst = seeds[summary.best], seeds[summary.worst]
        cells = {}
        for i, column in enumerate(columns):
            std = float(summary.std[i]) if len(seeds) > 1 else None
            cells[column] = Cell({seed: values[seed][i] for seed in seeds}, float(summary.mean[i]), std, papers[column])
    return Row(part.labels, tuple(map(cells.get, source.columns)), seeds, len(arm.trials), best, worst, tuple(notes))


def _values(source: _Source, trial: str, checkpoint: str, columns: Sequence[ManifestColumn], part: _Part) -> list[float] | str:
    """The trial's value in each of ``columns``, or why it is not in the table."""
    if why := source.missing(trial):
        return why
    found = [source.accuracy(trial, checkpoint, part.attacks[column.label], column) for column in columns]
    values = [value for value in found if value is not None]
    missing = len(found) - len(values)
    if not missing:
        return values  # even if it failed since, in another study's attack
    return source.reason(trial) or f"trained, {missing} of {len(found)} columns not evaluated yet"


def _highlighted(rows: Sequence[Row], columns: Sequence[ManifestColumn]) -> tuple[Row, ...]:
    """The rows of one checkpoint with the best mean of each column bold and the strongest attack of each row underlined."""
    tops = [max(_means(cells), default=None) for cells in zip(*(row.cells for row in rows), strict=True)]
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
