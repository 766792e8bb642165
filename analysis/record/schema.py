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
    environments/<digest>.txt                                   what was installed, or differed from the commit: for many trials
    studies/<paper>/<slug>/<variant>.json                       a Manifest, with its digest: which trials make which row
    identity                                                    the storage's identifier and its digest
    drivers/<driver>.json                                       the heartbeat of a process that runs trials, until it ends
    claims/<trial>.<driver>                                     an empty file: which driver has which trial
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
DRIVERS_FOLDER = "drivers"
CLAIMS_FOLDER = "claims"
ENVIRONMENTS_FOLDER = "environments"
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
        # What training took, over all processes that have worked on it; evaluations are not in it.
        # Seconds from the start of work on the trial to its last row: data, training, selection, recording, waiting for the
        # driver. What a killed process did after its last row is not in it; epochs that were trained twice are.
        ("wall_seconds", pa.float64()),
        # On a GPU the most bytes that torch had allocated on it; on a CPU the largest resident memory of the process, sampled
        # every second of an epoch and at its end; null where the system does not say.
        ("peak_memory", pa.int64()),
        # In [0, 1], over the epochs; restarts weigh by their wall_seconds. On a CPU the process's CPU time by wall time and
        # threads; on a GPU the mean of what NVML says every second, whichever process used it; null without NVML.
        ("utilisation", pa.float64()),
        # Of the work tree of the folder in which the command was started that trained it last; both null outside of git.
        ("commit", pa.string()),
        # Digest of a text in environments/: the difference to the commit, then the names of untracked files, cut at 1 MiB;
        # "" where there is none.
        ("diff", pa.string()),
        # Where it was trained last.
        ("packages", pa.string()),  # digest of a text in environments/: the installed distributions, a line name==version each
        ("cuda", pa.string()),  # version of CUDA that torch was built for; null on a CPU
        ("driver", pa.string()),  # version of NVIDIA's driver; null on a CPU
        ("data", pa.string()),  # SHA-256 of the whole data set as it was read: images and labels for training, then for tests
        ("host", pa.string()),  # name of the machine
        ("user", pa.string()),  # name of the user whose process it was; null where there is no name
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
        # The following are of the final prediction; null in rows of inserted modules' heads.
        # Accuracy by the attack's last iterate alone, where ``accuracy`` is by any: of several restarts an example is right
        # that is right at the end of each. Null where the attack stops on broken examples (not ``complete``), where it counts
        # no gradient steps, and on a stochastic network, where ``accuracy`` is by the end point.
        ("last_accuracy", pa.float64()),
        # The same after each number of gradient steps, over all restarts, that the same run was asked for on this checkpoint
        # and that is a beginning of this attack, itself included: by any iterate, and by the last (null as above). Null where
        # the attack counts no steps, and on a stochastic network.
        ("by_steps", pa.list_(pa.struct([("steps", pa.int32()), ("any", pa.float64()), ("last", pa.float64())]))),
        # Of a stochastic network alone; ``accuracy`` is by one draw. On the images that the attack returned: the mean accuracy
        # of single draws, the accuracy of their mean softmax, and how many draws these are of.
        ("mean_accuracy", pa.float64()),
        ("averaged_accuracy", pa.float64()),
        ("draws", pa.int32()),
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
        # per test example: the rank at the attack's last image alone, as of several restarts' ends the highest; null where
        # ``last_accuracy`` is
        ("last_ranks", pa.list_(pa.uint16())),
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
