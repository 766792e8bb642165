"""Read a storage: the record as frames, trained networks, and the states of trials."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from analysis.record.files import BrokenRecordError
from analysis.record.rows import rows
from analysis.record.schema import Status as State
from orchestrator.api.terms import STORAGE, CheckpointName, Files, as_paths, storage_option
from orchestrator.authoring.study_files import load as load_studies
from orchestrator.errors import BadInput, Unavailable
from orchestrator.planning.settings import explain
from orchestrator.record import compaction
from orchestrator.record.doctor import Diagnosis, examine
from orchestrator.record.inventory import inventory, is_storage
from orchestrator.record.recorded import INDEXED, indexed
from orchestrator.record.sharing.drivers import drivers
from orchestrator.record.spent import seconds
from orchestrator.record.store import Store, WeightsNotFoundError
from trainables.config import TrialConfig

if TYPE_CHECKING:
    from analysis.record.load import Record
    from trainables.models import Network


def load(storage: str = STORAGE, *, trials: Collection[str] | None = None) -> "Record":
    """Read the record of a storage as tidy frames: ``trials``, ``epochs``, ``evaluations`` and ``measures``.

    Args:
        storage: a folder or URI.
        trials: keys of the trials to read; None for all.

    Returns:
        frames with the columns of :mod:`analysis.record.schema`, and a column ``config.<field>`` for every field of the trials'
        configurations; accuracies are fractions in [0, 1], durations seconds.

    Raises:
        Unavailable: there is no storage, or its record is damaged.

    >>> import advsweep
    >>> record = advsweep.load("results")
    >>> record.trials["status"].tolist()
    ['finished', 'finished', 'finished', 'finished']
    >>> natural = record.evaluations.query("attack_name == 'natural' and head == 'final' and checkpoint == 'last'")
    >>> len(natural)  # one of each trial
    4
    """
    return replace(read_record(storage, trials), settings=True)


def read_record(storage: str, trials: Collection[str] | None = None) -> "Record":
    """Read the record of a storage as :func:`load` does, without columns for the fields of configurations."""
    from analysis.record.load import load as read

    existing_store(storage)
    with storage_errors(storage):
        return read(storage, trials)


class LoadedModel(NamedTuple):
    """A trained network in evaluation mode on the CPU, and the configuration of its trial."""

    network: "Network"
    config: TrialConfig


def load_model(storage: str, trial: str, checkpoint: CheckpointName = "best", *, study_files: Files = ()) -> LoadedModel:
    """Read a trained network from the record.

    ``network(x)`` takes images (B, channels, size, size) in [0, 1] and returns ``Outputs``, whose ``logits`` are (B, classes).

    Args:
        storage: a folder or URI.
        trial: a trial's key, from ``load(storage).trials["trial"]``, or as much of its beginning as no other key has.
        checkpoint: the ``best`` or the ``last`` one.
        study_files: files with the trial's plugins.

    Raises:
        BadInput: there is no such trial, or it has a plugin that is not registered.
        Unavailable: there is no storage, or the checkpoint is not in it.

    >>> import advsweep, torch
    >>> key = advsweep.load("results").trials["trial"][0]
    >>> network, config = advsweep.load_model("results", key)
    >>> network(torch.rand(2, 1, 8, 8)).logits.shape, network.training
    (torch.Size([2, 10]), False)
    """
    from trainables.checkpoint import unpack_weights
    from trainables.models import build_model
    from trainables.rng import generator

    store = existing_store(storage)
    load_studies(as_paths(study_files))
    with storage_errors(storage):
        trial = find_trial(store, trial)
        row = store.read_trial(trial)
    if row is None:
        raise BadInput(f"trial = {trial!r}: there is no such trial in --storage {storage!r}")
    if checkpoint not in ("best", "last"):
        raise BadInput(f"checkpoint = {checkpoint!r}: allowed: best, last")
    try:
        config = TrialConfig.model_validate_json(row["config"])
    except ValidationError as error:
        reason = explain(error, json.loads(row["config"]))
        raise BadInput(f"trial = {trial}: {reason}; a trial with a plugin needs its study file") from error
    epoch = row["best_epoch"] if checkpoint == "best" else row["epochs"]
    try:
        with storage_errors(storage):
            weights = unpack_weights(store.read_weights(trial, epoch))
    except WeightsNotFoundError as error:
        where = f"epoch {row['epochs']} of {config.training.epochs}"
        raise Unavailable(f"trial = {trial}: its {checkpoint} checkpoint is not in --storage {storage!r} ({where})") from error
    network = build_model(config.model, config.module, config.data.info, config.seed)
    network.load_state_dict(weights)
    network.draw_from(generator(config.seed, "module"))
    return LoadedModel(network.eval(), config)


@dataclass(frozen=True)
class Status:
    """Counts of a storage's contents.

    ``trials``: their number by state. ``evaluations``: their number. ``studies``: for each study that was run, its name
    (``study``), ``variant``, number of ``trials`` and of ``finished`` ones, the time of its last run (``created``), and of its
    trials, which other studies may share, the device-hours so far (``hours``) and the ``bytes``. ``failed``: for each failed
    trial, its key (``trial``), ``arm`` and ``reason``. ``failed_evaluations``: the same for each evaluation or measurement that
    failed, and its name (``evaluation``). ``hours``: device-hours of all trials so far: training, evaluations and measurements.
    ``size``: of all files, in bytes. ``running``: whose processes run trials of the storage now.
    """

    trials: dict[str, int]
    evaluations: int
    studies: list[dict[str, Any]]
    failed: list[dict[str, str]]
    failed_evaluations: list[dict[str, str]]
    hours: float
    size: int
    running: list[str]


def status(storage: str = STORAGE) -> Status:
    """Count a storage's studies, trials by state and evaluations, their cost and sizes, and list what failed and why.

    Raises:
        Unavailable: there is no storage.

    >>> import advsweep
    >>> advsweep.status("results").trials
    {'finished': 4, 'unfinished': 0, 'early-stopped': 0, 'failed': 0}
    """
    store = existing_store(storage)
    with storage_errors(storage):
        manifests, stored, listed = store.manifests(), inventory(store), store.trials()
        tables = rows(store, listed, INDEXED)
    index, spent = indexed(tables, listed), seconds(tables)
    sized = Counter[str | None]()
    for file in stored:
        sized[file.trial] += file.size
    names = {key: label for m in manifests for key, label in m.beside.items()}
    names |= {key: f"{' '.join(a.labels)} seed {seed}" for m in manifests for a in m.arms for seed, key in a.trials.items()}
    return Status(
        trials={state.value: sum(r.status == state for r in index.values()) for state in State},
        evaluations=sum(len(r.evaluations) for r in index.values()),
        studies=[
            {
                "study": m.study,
                "variant": m.variant,
                "trials": len(m.trials),
                "finished": sum(index[key].status == State.FINISHED for key in m.trials if key in index),
                "created": m.created,
                "hours": sum(spent[key] for key in m.trials) / 3600,
                "bytes": sum(sized[key] for key in m.trials),
            }
            for m in manifests
        ],
        failed=[
            {"trial": key, "arm": names.get(key, ""), "reason": r.reason}
            for key, r in index.items()
            if r.status == State.FAILED
        ],
        failed_evaluations=[
            {"trial": key, "arm": names.get(key, ""), "evaluation": failed.name, "reason": failed.reason}
            for key, r in index.items()
            for failed in r.failures.values()
        ],
        hours=spent.total() / 3600,
        size=sum(sized.values()),
        running=[str(driver) for driver in drivers(store).values()],
    )


def compact(storage: str = STORAGE) -> compaction.Compacted:
    """Copy the rows of many trials' files to few segments, so that many trials are read as fast as a few.

    A run does it at its end where many files are left. Nothing depends on it but time.

    Raises:
        Unavailable: there is no storage, or a file of it is damaged.

    >>> import advsweep
    >>> advsweep.compact("results").written
    2
    >>> advsweep.compact("results").written  # all is in segments already
    0
    """
    with storage_errors(storage):
        return compaction.compact(existing_store(storage))


@contextmanager
def storage_errors(storage: str) -> Iterator[None]:
    """Raise what reading the files of a storage can raise as one line that names the file.

    Raises:
        Unavailable: a file is damaged, or cannot be read.
    """
    try:
        yield
    except WeightsNotFoundError:
        raise
    except BrokenRecordError as error:
        raise damaged(storage, error) from error
    except OSError as error:
        raise Unavailable(f"--storage {storage!r} cannot be read: {(str(error).splitlines() or [''])[0]}") from error


def damaged(storage: str, error: BrokenRecordError) -> Unavailable:
    """Make the error of a command that needs a damaged file."""
    return Unavailable(f"{error}; `advsweep doctor{storage_option(storage)}` says what mends it")


def doctor(storage: str = STORAGE) -> Diagnosis:
    """Verify every file of a storage, and list what is damaged, orphaned, half-written or doubled. Changes nothing.

    Raises:
        Unavailable: there is no storage, or a file cannot be read.

    >>> import advsweep
    >>> print(advsweep.doctor("results").damaged)
    ()
    """
    with storage_errors(storage):
        return examine(existing_store(storage))


def existing_store(storage: str) -> Store:
    """Open the record of an existing storage.

    Raises:
        Unavailable: there is no storage, or the folder is none of advsweep's.
    """
    store = Store(storage)
    if str(storage).endswith(".zip") and Path(storage).is_file():
        raise Unavailable(f"--storage {str(storage)!r} is a zip file: unzip it, and name the folder")
    with storage_errors(store.uri):
        store.check_location()
        if not store.exists():
            raise Unavailable(f"--storage {str(storage)!r}: there is nothing yet; `advsweep run` makes it once it has started")
        if not is_storage(store):
            raise Unavailable(
                f"--storage {str(storage)!r} is no storage of advsweep: it has other files, and no trial, study or identity of "
                "ours; name the folder that `advsweep run` wrote"
            )
    return store


def find_trial(store: Store, key: str) -> str:
    """Complete the beginning of a trial's key.

    Raises:
        BadInput: no trial of the storage has this key, or several have keys that begin so.
    """
    if key.isalnum() and store.trials([key]):
        return key
    found = [each for each in store.trials() if key and each.startswith(key)]
    if len(found) == 1 or key in found:
        return min(found)
    where = f"in --storage {store.uri!r}"
    if not found:
        raise BadInput(f"trial = {key!r}: there is no such trial {where}")
    raise BadInput(f"trial = {key!r}: {len(found)} keys begin so {where}: {', '.join(found[:5])}; write more of it")
