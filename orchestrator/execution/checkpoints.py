"""Checkpoints: a training's weights, and until its end the states from which it resumes; and those that attacks come from."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from pydantic import ValidationError

from analysis.record.schema import Status
from orchestrator.planning.settings import explain
from orchestrator.record.store import RecordRow, Store
from trainables.attacks import SourceNetworks
from trainables.checkpoint import pack_state, pack_weights, unpack_state, unpack_weights
from trainables.config import Attack, Transfer, TrialConfig
from trainables.trial import Trial, build_source

#: Writing takes at most one part in so many of a training's time.
SHARE = 20


class SourceMissing(LookupError):
    """The source trial of a transferred attack is missing in the storage, or cannot be used; the message says why."""


class Checkpoints:
    """Writes the checkpoints of one training, seldom enough to cost little, in a thread beside the training.

    A state is written after an epoch once ``every`` seconds have passed since the last one, or :data:`SHARE` times what the
    last one took, if that is longer. So a kill costs that time or one epoch. Until then the best weights are kept in memory.
    With ``every = 0`` a state is written after each epoch, before training goes on. At the end there are the weights of the
    best and of the last epoch, and no state: there is nothing to resume.

    Args:
        store: the record.
        key: the trial's key.
        every: seconds between two states at least.
    """

    def __init__(self, store: Store, key: str, every: float) -> None:
        self._store, self._key, self._every = store, key, every
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._writing: Future[None] | None = None
        self._seconds = 0.0  # that the last state took
        self._began = time.monotonic()  # when the last state was written
        self._saved = 0  # its epoch
        self._best: tuple[int, bytes] | None = None  # the best epoch and its weights, once this process has trained it

    def resume(self, trial: Trial) -> list[RecordRow]:
        """Load the last state into ``trial``, and return its history; empty where it, or its best weights, are not there.

        Raises:
            BrokenRecordError, pickle.UnpicklingError: the state is not readable.
        """
        data = self._store.read_state(self._key)
        if data is None:
            return []
        state = unpack_state(data)
        if self._store.weights(self._key, state["trial"]["best_epoch"]) is None:
            return []
        trial.load_state_dict(state["trial"])
        self._saved = trial.epoch
        return list(state["history"])

    def after_epoch(self, trial: Trial, history: Sequence[RecordRow]) -> None:
        """Take in a trained epoch: write its state if it is time to, or the weights of a training that ends with it.

        Raises:
            OSError: this, or the state before, could not be written.
        """
        if trial.best_epoch == trial.epoch:
            self._best = trial.epoch, pack_weights(trial.weights())
        if trial.finished:
            self.write_weights(self._key, trial)
        elif not self._every:
            self.save(trial, history)
            self.wait()
        elif self._due:
            self.save(trial, history)

    @property
    def _due(self) -> bool:
        if self._writing is not None and not self._writing.done():
            return False
        return time.monotonic() - self._began >= max(self._every, SHARE * self._seconds)

    def save(self, trial: Trial, history: Sequence[RecordRow]) -> None:
        """Start to write the state as it is now, between two epochs, once the one before is written."""
        if trial.epoch == self._saved or trial.finished:
            return
        self.wait()
        began = time.monotonic()
        epoch, best_epoch, best = trial.epoch, trial.best_epoch, self._best
        state = pack_state({"trial": trial.state_dict(), "history": [*history]})

        def write() -> None:
            # The weights before the state that refers to them: a kill in between loses no state.
            if best is not None:
                self._store.write_weights(self._key, *best)
            self._store.write_state(self._key, epoch, state)
            self._store.keep_weights(self._key, {best_epoch})
            self._seconds = time.monotonic() - began

        self._writing = self._thread.submit(write)
        self._began, self._saved = began, epoch

    def write_weights(self, key: str, trial: Trial) -> None:
        """Write the weights of the best and of the last epoch under ``key``: this trial's, or that of one that ends here."""
        self.wait()
        weights = {trial.epoch: pack_weights(trial.weights())}
        if trial.best_epoch != trial.epoch:
            best = self._best[1] if self._best else self._store.read_weights(self._key, trial.best_epoch)
            weights[trial.best_epoch] = best
        for epoch, data in weights.items():
            self._store.write_weights(key, epoch, data)
        self._store.keep_weights(key, weights)

    def close(self) -> None:
        """Wait until everything is written, and end the thread."""
        self.wait()
        self._thread.shutdown()

    def wait(self) -> None:
        """Wait until the state is written.

        Raises:
            OSError: it could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


def source_networks(attack: Attack, store: Store, dataset: str, device: torch.device) -> SourceNetworks:
    """Load the network that an attack is transferred from; empty for attacks on the network itself.

    Args:
        attack: an attack on a network that was trained on ``dataset``.
        store: the record, which holds the source trial.
        dataset: the data set's name.
        device: where the network is put.

    Raises:
        SourceMissing: it cannot be loaded.
    """
    if not isinstance(attack, Transfer):
        return {}
    row = store.read_trial(attack.source)
    if row is None:
        raise SourceMissing(f"attack.source = {attack.source}: there is no such trial in the storage")
    try:
        spec = TrialConfig.model_validate_json(row["config"])
    except ValidationError as error:
        reason = explain(error, json.loads(row["config"]))
        raise SourceMissing(
            f"attack.source = {attack.source}: that trial's {reason}; a plugin needs its --study-file"
        ) from error
    if row["status"] != Status.FINISHED and row["epochs"] < spec.training.epochs:
        # A network that is half trained, or has diverged, makes weak attacks.
        how_far = f"epoch {row['epochs']} of {spec.training.epochs}"
        why = ": ".join(filter(None, (how_far, row["reason"])))
        raise SourceMissing(f"attack.source = {attack.source}: that trial is {row['status']} ({why})")
    if spec.data.dataset != dataset:
        raise SourceMissing(f"attack.source = {attack.source}: that trial is on {spec.data.dataset}, not on {dataset}")
    epoch = row["best_epoch"] if attack.checkpoint == "best" else row["epochs"]
    try:
        weights = unpack_weights(store.read_weights(attack.source, epoch))
    except FileNotFoundError as error:
        where = f"the {attack.checkpoint} checkpoint of attack.source = {attack.source}"
        raise SourceMissing(f"{where}, epoch {epoch}, is not in the storage") from error
    return {(attack.source, attack.checkpoint): build_source(spec, weights, device)}
