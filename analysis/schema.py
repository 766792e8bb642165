"""The record's layout: the one contract between who writes it (the orchestrator) and who reads it (analysis).

Under the storage's root::

    trials/<trial>/trial.parquet               one row: TRIAL, and a column ``config.<field>`` for every set field
    trials/<trial>/epochs.parquet              a row for each finished epoch: EPOCHS
    trials/<trial>/evaluations-<part>.parquet  a row for each evaluation and head: EVALUATIONS
    trials/<trial>/measures-<part>.parquet     a row for each array of each measurement: MEASURES
    trials/<trial>/weights-<epoch>.safetensors the network after that epoch
    trials/<trial>/state.pt                    what training goes on from (readable with ``weights_only``)
    studies/<paper>/<slug>/<variant>.json      a Manifest: which trials make which row of a table
    identity                                   what tells this storage from others, where several are shown in one place

Accuracies are fractions in [0, 1]; times are UTC; durations are seconds.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
from pyarrow import fs

TRIALS = "trials"
STUDIES = "studies"
IDENTITY = "identity"

_time = pa.timestamp("ms", tz="UTC")


class Status(StrEnum):
    """What a trial is. UNFINISHED covers running, interrupted and crashed: only its driver knows the difference.

    FINISHED: trained to the last epoch. EARLY_STOPPED: by a search; whoever wants it whole trains it on.
    """

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    EARLY_STOPPED = "early-stopped"
    FAILED = "failed"


class Ending(StrEnum):
    """Why a trial failed or was stopped early."""

    DIVERGED = "diverged"
    EARLY_STOPPED = "early-stopped"
    OUT_OF_MEMORY = "out of memory"
    PROCESS_DIED = "process died"  # or its node
    ERROR = "error"  # any other exception


TRIAL = pa.schema(
    [
        ("trial", pa.string()),  # key of the trial
        ("status", pa.string()),  # a Status
        ("reason", pa.string()),  # why it failed or was stopped early, one line for people; "" otherwise
        ("ending", pa.string()),  # an Ending: the same for programs; null otherwise
        ("epochs", pa.int32()),  # epochs finished
        ("best_epoch", pa.int32()),  # epoch of the best checkpoint, counted from 1; 0 before the first
        ("seed", pa.int64()),
        ("config", pa.string()),  # the configuration as JSON
        ("device", pa.string()),  # the device it trained on last
        ("versions", pa.string()),  # versions of advsweep, its numerics, torch and Python, as JSON
        ("seconds", pa.float64()),  # time spent training
        ("created", _time),
        ("updated", _time),
    ]
)

EPOCHS = pa.schema(
    [
        ("trial", pa.string()),
        ("epoch", pa.int32()),  # counted from 1
        ("lr", pa.float64()),
        ("train_loss", pa.float64()),  # mean of what the weights minimised
        ("train_accuracy", pa.float64()),  # on the examples trained on, adversarial ones where the objective uses them
        ("natural_accuracy", pa.float64()),  # on the selection split
        ("robust_accuracy", pa.float64()),  # on the selection split under the selection attack
        ("seconds", pa.float64()),  # training alone
        ("images_per_second", pa.float64()),
        ("discriminator_accuracy", pa.float64()),  # AFD only: of telling natural from adversarial features, while training
        ("finished", _time),
    ]
)

#: In the column ``broken``, of an example that never was.
NEVER = 65535

EVALUATIONS = pa.schema(
    [
        ("evaluation", pa.string()),  # key: trial, checkpoint, attack, and whether complete
        ("trial", pa.string()),
        ("checkpoint", pa.string()),  # "best" or "last"
        ("epoch", pa.int32()),  # of that checkpoint
        ("attack", pa.string()),  # key of the attack
        ("attack_name", pa.string()),
        ("attack_spec", pa.string()),  # the attack as JSON
        # traits of the attack: what it sees of the network (gradients, scores, decisions or nothing), whether it takes many
        # steps, whether it is made of several kinds; and the gradient steps that it counts over all restarts, null for none
        ("sees", pa.string()),
        ("iterates", pa.bool_()),
        ("ensemble", pa.bool_()),
        ("gradient_steps", pa.int32()),
        ("numerics", pa.string()),  # versions of all that the evaluation went through, as JSON
        ("beta_atk", pa.string()),  # "" for natural
        ("head", pa.string()),  # whose prediction: "final", or "1", "2", ... for an inserted module
        ("accuracy", pa.float64()),
        # per test example: how many classes score at least as high as the true one (0 is right)
        ("ranks", pa.list_(pa.uint16())),
        # whether every example was attacked to its end; if not, broken ones have the rank that they were broken with
        ("complete", pa.bool_()),
        # per test example: gradient steps over all restarts after which it was first broken (NEVER: it was not); null where
        # the attack counts none, and in rows of other heads
        ("broken", pa.list_(pa.uint16())),
        # per test example: to the nearest misclassified image that was found (inf: none was); null where none was looked for
        ("distance", pa.list_(pa.float32())),
        ("class_accuracy", pa.list_(pa.float32())),  # of each class; nan where the test set has no example of it
        ("seconds", pa.float64()),  # of the run that found it, which may have found shorter attacks and both checkpoints
        ("finished", _time),
    ]
)

MEASURES = pa.schema(
    [
        ("measurement", pa.string()),  # key: trial, checkpoint and measure
        ("trial", pa.string()),
        ("checkpoint", pa.string()),  # "best" or "last"
        ("epoch", pa.int32()),  # of that checkpoint
        ("measure", pa.string()),  # key of the measure
        ("measure_name", pa.string()),
        ("measure_spec", pa.string()),  # the measure as JSON
        ("array", pa.string()),  # name of one of the measure's arrays
        ("shape", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),  # in C order; whole numbers and flags (0, 1) too
        ("seconds", pa.float64()),  # of the whole measurement
        ("finished", _time),
    ]
)


def filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system and root path of a storage: a local path, or a URI that pyarrow knows (``s3://``, ``gs://``, ``file://``).

    Raises:
        ValueError: the URI names no file system that pyarrow knows, or one that it cannot open here.
    """
    if "://" in uri:
        try:
            found, root = fs.FileSystem.from_uri(uri)
            return found, str(root)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise ValueError(str(error).splitlines()[0]) from error
    return fs.LocalFileSystem(), str(Path(uri).expanduser().resolve())


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
