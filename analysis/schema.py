"""The record's layout: the contract between its writer (``orchestrator.record``) and its readers (``analysis``).

Under the storage's root::

    trials/<trial>/trial.parquet               one row: TRIAL, and a column ``config.<field>`` for every field that is set
    trials/<trial>/epochs.parquet              a row for each finished epoch: EPOCHS
    trials/<trial>/evaluations-<part>.parquet  a row for each evaluation and head: EVALUATIONS
    trials/<trial>/measures-<part>.parquet     a row for each array of each measurement: MEASURES
    trials/<trial>/weights-<epoch>.safetensors the network after that epoch
    trials/<trial>/state.pt                    the state to resume training from (readable with ``weights_only``)
    studies/<paper>/<slug>/<variant>.json      a Manifest: which trials make which row of a table
    identity                                   the storage's identifier, where MLflow or Optuna shows several storages

Accuracies are fractions in [0, 1]; times are UTC; durations are seconds.
"""

from enum import StrEnum
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

#: Names below the storage's root.
TRIALS_FOLDER = "trials"
STUDIES_FOLDER = "studies"
IDENTITY_FILE = "identity"

_time = pa.timestamp("ms", tz="UTC")


class Status(StrEnum):
    """The state of a trial. UNFINISHED covers running, interrupted and crashed: only its driver knows the difference.

    FINISHED: trained to its last epoch. EARLY_STOPPED: ended by a search's pruner; a study that needs it resumes its training.
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
        ("reason", pa.string()),  # why it failed or was stopped early, in one readable line; "" otherwise
        ("ending", pa.string()),  # the kind of that reason, an Ending; null otherwise
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
        ("train_loss", pa.float64()),  # mean of the training loss
        ("train_accuracy", pa.float64()),  # on the training examples, adversarial ones where the objective uses them
        ("natural_accuracy", pa.float64()),  # on the selection split
        ("robust_accuracy", pa.float64()),  # on the selection split under the selection attack
        ("seconds", pa.float64()),  # training alone
        ("images_per_second", pa.float64()),
        ("discriminator_accuracy", pa.float64()),  # AFD only: on natural against adversarial features, while training
        ("finished", _time),
    ]
)

#: The value in the column ``broken`` of an example that was never broken.
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
        # steps, whether it consists of several attacks; and its gradient steps over all restarts, null where it counts none
        ("sees", pa.string()),
        ("iterates", pa.bool_()),
        ("ensemble", pa.bool_()),
        ("gradient_steps", pa.int32()),
        ("numerics", pa.string()),  # versions of the code that computed the evaluation, as JSON
        ("beta_atk", pa.string()),  # "" for natural
        ("head", pa.string()),  # whose prediction: "final", or "1", "2", ... for an inserted module
        ("accuracy", pa.float64()),
        # per test example: how many classes score at least as high as the true one (0 is right)
        ("ranks", pa.list_(pa.uint16())),
        # whether every example was attacked to the end; if not, a broken example has the rank at which it was broken
        ("complete", pa.bool_()),
        # per test example: gradient steps over all restarts after which it was first broken, or NEVER; null where the attack
        # counts none, and in rows of inserted modules' heads
        ("broken", pa.list_(pa.uint16())),
        # per test example: distance to the nearest misclassified image found, inf for none; null unless minimal-norm
        ("distance", pa.list_(pa.float32())),
        ("class_accuracy", pa.list_(pa.float32())),  # of each class; nan where the test set has no example of it
        ("seconds", pa.float64()),  # of the run that computed it, perhaps with shorter attacks and the other checkpoint
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
    """Open the file system of a storage: a local path, or a URI that pyarrow knows (``s3://``, ``gs://``, ``file://``).

    Returns:
        the file system, and the storage's root path in it.

    Raises:
        ValueError: pyarrow does not know the URI's file system, or cannot open it.
    """
    if "://" in uri:
        try:
            found, root = fs.FileSystem.from_uri(uri)
            return found, str(root)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise ValueError(str(error).splitlines()[0]) from error
    return fs.LocalFileSystem(), str(Path(uri).expanduser().resolve())
