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

from enum import StrEnum
from pathlib import Path

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
