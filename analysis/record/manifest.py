"""The manifest of a study: which trials make which row of its table, and which evaluations each column shows."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from analysis.record.names import digest
from analysis.record.schema import STUDIES_FOLDER

#: The factor whose labels are seeds, where a study has one: its rows are repetitions, and none is better than another.
SEED = "seed"

#: The kinds of number that a column of a table shows.
Kind = Literal["accuracy", "ensemble", "area", "measure", "cost"]


@dataclass(frozen=True)
class ManifestColumn:
    """A column of a table.

    ``adversarial``: whether images are attacked. ``head``: whose prediction counts: ``final``, or ``1``, ``2``, ... for an
    inserted module's. ``added``: whether a user added it to the study's own columns. ``top_k``: an example is right if its
    class is among the k with the highest scores. ``only``: the class whose examples count; None for all. ``kind``:
    ``accuracy``, in percent; ``ensemble``, accuracy with each example under the worst of several attacks; ``area``, normalised,
    under accuracy as a function of eps, at most 1; ``measure``, the ``statistic`` of its ``array``, ``times`` a factor;
    ``cost``, in seconds. ``last``: whether an example is right whose last iterate is, as the paper counts whose numbers stand
    beside; otherwise, one of which every iterate is.
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
    last: bool = False

    @property
    def complete(self) -> bool:
        """Whether the column needs evaluations that attack every example to the end."""
        return self.head != "final" or self.top_k > 1 or self.kind == "cost"


@dataclass(frozen=True)
class Read:
    """An evaluation from which a number of a table is computed.

    ``attack``: the attack's key. ``beta_atk``: the weight of the inserted modules in the attacker's joint loss; None where the
    attack has none. ``eps``: its position on the curve, for an area; ``column``: the label of the column that it belongs to,
    for an ensemble; None for other kinds.
    """

    attack: str
    beta_atk: str | None = None
    eps: float | None = None
    column: str | None = None


@dataclass(frozen=True)
class ManifestArm:
    """A row of a table.

    ``labels``: one for each factor. ``trials``: the trial's key by seed. Three fields say what the columns show, by their
    labels; a column that does not apply to this arm is in none. ``reads``: its evaluations, each once; an area by a
    minimal-norm attack has one attack for every eps. ``measures``: its measure's key. ``training``: columns that show the cost
    of training. ``pictures``: the measure's key by its label in the study's figure. ``heads``: whose prediction counts in this
    row, by the label of a column, where it differs from the column's. ``remarks``: what a table must say of its attacks.
    """

    labels: tuple[str, ...]
    trials: dict[str, str]
    reads: dict[str, tuple[Read, ...]] = field(default_factory=dict)
    measures: dict[str, str] = field(default_factory=dict)
    training: tuple[str, ...] = ()
    pictures: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def columns(self) -> frozenset[str]:
        """Labels of the columns that apply to this arm."""
        return frozenset((*(label for label, reads in self.reads.items() if reads), *self.measures, *self.training))

    def own(self, column: ManifestColumn) -> ManifestColumn:
        """Adapt a column to this row: its head may be another here."""
        return replace(column, head=self.heads.get(column.label, column.head))

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Self:
        """Build an arm from its parsed JSON."""
        reads = {label: tuple(Read(**read) for read in found) for label, found in tree["reads"].items()}
        lists = {name: tuple(tree[name]) for name in ("labels", "training", "remarks") if name in tree}
        return cls(**{**tree, **lists, "reads": reads})


@dataclass(frozen=True)
class ManifestNumber:
    """A number that the paper prints, in its column's unit.

    ``labels``: those of the arm, followed by beta_atk where each beta_atk has a row. ``seed``: ``best`` or ``worst`` where the
    paper prints the best or worst of several trainings; otherwise "".
    """

    labels: tuple[str, ...]
    checkpoint: str
    column: str
    value: float
    std: float | None = None
    seed: str = ""


@dataclass(frozen=True)
class Manifest:
    """One study as it was run: all that its table needs in addition to the record.

    ``variant``: profile and overrides, which name the file. ``selection``: the split on which best checkpoints were chosen.
    ``checkpoint``: which one the paper shows: ``best``, ``last`` or ``both``. ``by_epoch``: columns of :data:`EPOCHS` that the
    study's figure shows. ``cited``: numbers that the paper's table quotes from other papers. ``beside``: trials that are not
    rows, by key with a readable name: sources of transferred attacks, and configurations that a search tried. ``created``:
    ISO time of the run. ``older``: by the key of a trial or an attack, its keys under older numerics, the newest first.
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
    cited: tuple[ManifestNumber, ...] = ()
    beside: dict[str, str] = field(default_factory=dict)
    older: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names by which the study is found: its own, and its aliases as ``paper/alias``."""
        paper = self.study.split("/")[0]
        return (self.study, *(f"{paper}/{alias}" for alias in self.aliases))

    @property
    def equal_rows(self) -> tuple[tuple[str, ...], ...]:
        """The names of rows that are one and the same training, in groups; overrides can make different rows equal."""
        groups: dict[frozenset[tuple[str, str]], list[str]] = {}
        for arm in self.arms:
            groups.setdefault(frozenset(arm.trials.items()), []).append(", ".join(arm.labels))
        return tuple(tuple(names) for names in groups.values() if len(names) > 1)

    @property
    def full_name(self) -> str:
        """The study's name with its variant; unique in a storage."""
        return f"{self.study} ({self.variant})"

    @property
    def path(self) -> str:
        """Path of the manifest's file below the storage's root."""
        return f"{STUDIES_FOLDER}/{self.study}/{self.variant}.json"

    @property
    def trials(self) -> frozenset[str]:
        """Keys of the trials that are rows of the table."""
        return frozenset(key for arm in self.arms for key in arm.trials.values())

    @property
    def labels(self) -> dict[str, str]:
        """A readable name of every trial by its key: the labels of its row, or its name in ``beside``."""
        rows = {key: " ".join(arm.labels) or self.title for arm in self.arms for key in arm.trials.values()}
        return self.beside | rows

    def with_added(self, before: Self) -> Self:
        """Carry over what an earlier manifest of the study has more: added columns, measures of its figure, seeds, ``beside``.

        Only arms whose trials are still those of the earlier manifest get them.
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
            trials = (old.trials if old and same else {}) | arm.trials
            arms.append(replace(arm, trials=trials, reads=arm.reads | kept, pictures=pictures | arm.pictures))
        return replace(self, columns=(*self.columns, *added), arms=tuple(arms), beside=before.beside | self.beside)

    def to_json(self) -> str:
        """Write the manifest as JSON, with a field ``digest`` of all others."""
        fields = asdict(self)
        return json.dumps({"digest": _digest(fields), **fields}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.pop("digest", None) != _digest(data):
            raise ValueError("its fields are not those that were written")
        tuples: dict[str, Any] = {name: tuple(data[name]) for name in ("aliases", "factors", "by_epoch")}
        tuples["older"] = {key: tuple(keys) for key, keys in data["older"].items()}
        columns = tuple(ManifestColumn(**c) for c in data["columns"])
        arms = tuple(ManifestArm.from_tree(a) for a in data["arms"])
        for name in ("printed", "cited"):
            tuples[name] = tuple(ManifestNumber(**{**n, "labels": tuple(n["labels"])}) for n in data.get(name, ()))
        return cls(**{**data, **tuples, "columns": columns, "arms": arms})


def _digest(fields: Mapping[str, Any]) -> str:
    return digest(json.dumps(fields).encode())
