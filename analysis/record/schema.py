"""The record's layout: the contract between its writer (``orchestrator.record``) and its readers (``analysis``).

Under the storage's root::

    trials/<trial>/trial-<order>.<digest>.parquet               one row: TRIAL
    trials/<trial>/evaluations-<part>-<order>.<digest>.parquet  a row for each evaluation and head: EVALUATIONS
    trials/<trial>/outcomes-<part>-<order>.<digest>.parquet     the same evaluations by example: OUTCOMES
    trials/<trial>/measures-<part>-<order>.<digest>.parquet     a row for each array of each measurement: MEASURES
    trials/<trial>/failures-<part>-<order>.<digest>.parquet     a row for each evaluation or measurement that failed: FAILURES
    trials/<trial>/weights-<epoch>.<digest>.safetensors         the network after the best epoch, and at the end the last one
    trials/<trial>/state-<epoch>.<digest>.pt                    until the end: from which training resumes, without pickled code
    segments/<table>-<order>.<digest>.parquet                   rows of many trials' files of one table, to read them at once
    studies/<paper>/<slug>/<variant>.json                       a Manifest, with its digest: which trials make which row
    identity                                                    the storage's identifier and its digest
    <any file>.damaged                                          a damaged file that a run has set aside; no reader opens it

A trial's file is never changed: what replaces it has a higher order, and of the files of one kind the newest counts (see
:mod:`analysis.record.names`). Outcomes are opened only by what needs single examples.

Accuracies are fractions in [0, 1]; times are UTC; durations are seconds.
"""

from enum import StrEnum

import pyarrow as pa

#: Names below the storage's root.
TRIALS_FOLDER = "trials"
STUDIES_FOLDER = "studies"
SEGMENTS_FOLDER = "segments"
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
        ("history", pa.list_(pa.struct([EPOCHS.field(name) for name in EPOCHS.names if name != "trial"]))),  # every epoch
        # null where nothing was sampled or is known
        ("wall_seconds", pa.float64()),  # from the first epoch's start to the last evaluation's end, without interruptions
        ("peak_memory", pa.int64()),  # of the device, in bytes
        ("utilisation", pa.float64()),  # of the device while training, in [0, 1]
        ("commit", pa.string()),  # git commit of the user's folder
        ("diff", pa.string()),  # and what differs from it
        ("packages", pa.string()),  # installed packages with their versions, a line each
        ("cuda", pa.string()),  # versions of CUDA
        ("driver", pa.string()),  # and of the GPU's driver
        ("data", pa.string()),  # SHA-256 of the data set's files, as JSON
        ("host", pa.string()),  # where it was trained last
        ("user", pa.string()),  # and by whom
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
        ("examples", pa.int32()),  # attacked images
        # whether every example was attacked to the end; if not, a broken example has the rank at which it was broken
        ("complete", pa.bool_()),
        ("class_accuracy", pa.list_(pa.float32())),  # of each class; nan where the test set has no example of it
        ("seconds", pa.float64()),  # of the run that computed it, perhaps with shorter attacks and the other checkpoint
        ("finished", _time),
        ("part", pa.string()),  # the outcomes of single examples are in the file of outcomes of this part
        ("median_distance", pa.float64()),  # to the nearest misclassified image, inf for none; null unless minimal-norm
        # null where it was not computed
        ("last_accuracy", pa.float64()),  # by the last iterate
        ("by_steps", pa.list_(pa.struct([("steps", pa.int32()), ("any", pa.float64()), ("last", pa.float64())]))),
        ("mean_accuracy", pa.float64()),  # of a stochastic network: mean over its draws
        ("draws", pa.int32()),  # and their number
    ]
)

OUTCOMES = pa.schema(
    [
        ("evaluation", pa.string()),
        ("head", pa.string()),
        # per test example: how many classes score at least as high as the true one (0 is right)
        ("ranks", pa.list_(pa.uint16())),
        # per test example: gradient steps over all restarts after which it was first broken, or NEVER; null where the attack
        # counts none, and in rows of inserted modules' heads
        ("broken", pa.list_(pa.uint16())),
        # per test example: distance to the nearest misclassified image found, inf for none; null unless minimal-norm
        ("distance", pa.list_(pa.float32())),
    ]
)

FAILURES = pa.schema(
    [
        ("evaluation", pa.string()),  # key of the evaluation or measurement; where it has a number too, it failed before
        ("trial", pa.string()),
        ("checkpoint", pa.string()),  # "best" or "last"
        ("attack", pa.string()),  # key of the attack, or of the measure
        ("label", pa.string()),  # a readable name of it
        ("reason", pa.string()),  # in one line
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

#: The tables of a trial, each in files of its own.
TABLES = {"trial": TRIAL, "evaluations": EVALUATIONS, "outcomes": OUTCOMES, "measures": MEASURES, "failures": FAILURES}
