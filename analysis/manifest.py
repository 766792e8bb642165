"""A study as it was run: which trials make which row of its table, and what each column reads. It lies beside the record."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from analysis.schema import STUDIES

#: What a column of a table may show.
Kind = Literal["accuracy", "ensemble", "area", "measure", "cost"]


@dataclass(frozen=True)
class ManifestColumn:
    """A column of a table: its label, whether it is an attack, and what it shows.

    ``head``: whose prediction counts. ``added``: whether it was asked for beside the study's own columns. ``top_k``: how many
    of the classes with the highest scores the true one may be among. ``only``: the class whose examples count; None for all.
    ``kind``: ``accuracy``, in percent; that of an ``ensemble``, each example under the worst of its attacks; the normalised
    ``area`` under accuracy against eps, at most 1; the mean of a ``measure``'s ``array``, or another ``statistic``, ``times``
    a factor; a ``cost`` in seconds.
    """

    label: str
    adversarial: bool
    head: str = "final"
    added: bool = False
    top_k: int = 1
    only: int | None = None
    kind: Kind = "accuracy"
    array: str = ""
    times: float = 1.0
    statistic: Literal["mean", "median"] = "mean"

    @property
    def complete(self) -> bool:
        """Whether it needs evaluations that attack every example to the end."""
        return self.head != "final" or self.top_k > 1 or self.kind == "cost"


@dataclass(frozen=True)
class Read:
    """An evaluation that a cell of a table is made of.

    ``attack``: its key. ``beta_atk``: the joint loss that the attacker maximises; None where it has none. ``eps``: where
    it stands on the curve of an area, and ``column``: the label of the ensemble's column that it is of; None in other kinds.
    """

    attack: str
    beta_atk: str | None = None
    eps: float | None = None
    column: str | None = None


@dataclass(frozen=True)
class ManifestArm:
    """A row of a table.

    ``labels``: one a factor. ``trials``: the trial's key by seed. A column's label is in one of three fields, and in none where
    the column means nothing for this arm. ``reads``: evaluations, each once; those of an area are of one attack where it looks
    for the smallest change. ``measures``: the measure's key. ``training``: columns that show what the training itself cost.
    ``pictures``: for each picture's label, the measure's key. ``heads``: by the label of a column, whose prediction counts in
    this row, where that is not the column's.
    """

    labels: tuple[str, ...]
    trials: dict[str, str]
    reads: dict[str, tuple[Read, ...]] = field(default_factory=dict)
    measures: dict[str, str] = field(default_factory=dict)
    training: tuple[str, ...] = ()
    pictures: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> frozenset[str]:
        """Labels of the columns that mean something for this arm."""
        return frozenset((*(label for label, reads in self.reads.items() if reads), *self.measures, *self.training))

    def own(self, column: ManifestColumn) -> ManifestColumn:
        """The column as this row shows it."""
        return replace(column, head=self.heads.get(column.label, column.head))

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Self:
        """An arm from what JSON has of it."""
        reads = {label: tuple(Read(**read) for read in found) for label, found in tree["reads"].items()}
        return cls(**{**tree, "labels": tuple(tree["labels"]), "reads": reads, "training": tuple(tree["training"])})


@dataclass(frozen=True)
class ManifestNumber:
    """A number the paper prints, in its column's unit.

    ``labels``: as the arm's, with the beta_atk behind them where rows are by beta. ``seed``: ``best`` or ``worst`` where it is
    of that one of several trainings.
    """

    labels: tuple[str, ...]
    checkpoint: str
    column: str
    value: float
    std: float | None = None
    seed: str = ""


@dataclass(frozen=True)
class Manifest:
    """One study as it was run: everything that its table needs beside the record.

    ``variant``: profile and overrides, names the file. ``selection``: the split that chose the best checkpoints.
    ``checkpoint``: what the paper shows: ``best``, ``last`` or ``both``. ``by_epoch``: columns of :data:`EPOCHS` that
    its figure shows. ``beside``: trials that are no rows, keys with names for people: what
    its transferred attacks come from, what a search tried. ``created``: ISO time of the run. ``older``: by the key of a trial
    or an attack, those that it had under older numerics, the newest first.
    """

    study: str
    aliases: tuple[str, ...]
    reference: str
    title: str
    profile: str
    variant: str
    overrides: dict[str, Any]
    selection: str
    checkpoint: str
    rows_by_beta: bool
    factors: tuple[str, ...]
    columns: tuple[ManifestColumn, ...]
    arms: tuple[ManifestArm, ...]
    printed: tuple[ManifestNumber, ...]
    created: str
    by_epoch: tuple[str, ...] = ()
    beside: dict[str, str] = field(default_factory=dict)
    older: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """What the study answers to: its name, and its aliases as ``paper/alias``."""
        paper = self.study.split("/")[0]
        return (self.study, *(f"{paper}/{alias}" for alias in self.aliases))

    @property
    def full_name(self) -> str:
        """The study and how it was run; no other manifest of its storage has it."""
        return f"{self.study} ({self.variant})"

    @property
    def path(self) -> str:
        """Where it lies under the storage's root."""
        return f"{STUDIES}/{self.study}/{self.variant}.json"

    @property
    def trials(self) -> frozenset[str]:
        """Keys of every trial of the study."""
        return frozenset(key for arm in self.arms for key in arm.trials.values())

    @property
    def labels(self) -> dict[str, str]:
        """What every trial is here, by its key: its row, or what it is beside them."""
        rows = {key: " ".join(arm.labels) or self.title for arm in self.arms for key in arm.trials.values()}
        return self.beside | rows

    def with_added(self, before: Self) -> Self:
        """This manifest with what was added to it ``before``: columns and pictures that it has no more, and trials beside it.

        The former for the arms that still have the trials that these columns are of; the others have nothing in them.
        """
        labels = {column.label for column in self.columns}
        added = tuple(column for column in before.columns if column.added and column.label not in labels)
        known = {arm.labels: arm for arm in before.arms}
        arms = []
        for arm in self.arms:
            old = known.get(arm.labels)
            same = old is not None and (old.trials.items() <= arm.trials.items() or arm.trials.items() <= old.trials.items())
            kept = {c.label: old.reads[c.label] for c in added if c.label in old.reads} if old and same else {}
            pictures = old.pictures if old and same else {}
            arms.append(replace(arm, reads=arm.reads | kept, pictures=pictures | arm.pictures))
        return replace(self, columns=(*self.columns, *added), arms=tuple(arms), beside=before.beside | self.beside)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        data = json.loads(text)
        tuples: dict[str, Any] = {name: tuple(data[name]) for name in ("aliases", "factors", "by_epoch")}
        tuples["older"] = {key: tuple(keys) for key, keys in data["older"].items()}
        columns = tuple(ManifestColumn(**c) for c in data["columns"])
        arms = tuple(ManifestArm.from_tree(a) for a in data["arms"])
        printed = tuple(ManifestNumber(**{**n, "labels": tuple(n["labels"])}) for n in data["printed"])
        return cls(**{**data, **tuples, "columns": columns, "arms": arms, "printed": printed})
