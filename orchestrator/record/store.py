"""The record: parquet parts, checkpoints and manifests on any pyarrow filesystem.

The layout is :mod:`analysis.record.schema`'s.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock, Timeout

from analysis.record.files import BrokenRecordError, concurrently, trial_path
from analysis.record.manifest import Manifest
from analysis.record.names import FileName, digest, newest
from analysis.record.rows import rows
from analysis.record.schema import (
    EVALUATIONS,
    FAILURES,
    IDENTITY_FILE,
    MEASURES,
    OUTCOMES,
    TRIAL,
    TRIALS_FOLDER,
    Ending,
    Status,
)
from orchestrator.errors import Unavailable
from orchestrator.record.files import TEMPORARY, Files, packed
from orchestrator.record.recorded import INDEXED, Recorded, indexed

#: A row of one of the record's tables, by column.
RecordRow = Mapping[str, Any]


class WeightsNotFoundError(FileNotFoundError):
    """A trial's weights are not in the record, or were damaged."""


class Store(Files):
    """The record in a storage: trials, their checkpoints, evaluations and measurements, and the manifests of studies."""

    def identity(self) -> str:
        """Return the storage's unique id, which is kept when it is moved; it is created at the first call.

        Raises:
            BrokenRecordError: it is damaged.
        """
        if not self.has_file(IDENTITY_FILE):
            made = uuid.uuid4().hex
            self.write(IDENTITY_FILE, f"{made} {digest(made.encode())}".encode())
        found, _, its_digest = self.read(IDENTITY_FILE).decode(errors="replace").partition(" ")
        if digest(found.encode()) != its_digest:
            raise BrokenRecordError(f"{self.path(IDENTITY_FILE)} is damaged: its bytes are not those that were written")
        return found

    @contextmanager
    def exclusively(self, purpose: str, timeout: float = 0, part: str = "") -> Iterator[None]:
        """Hold the lock of a ``purpose`` (such as ``sync``), or of one ``part`` of it; a process that dies releases its locks.

        Only processes of this machine are kept out, and only from a local storage.

        Raises:
            Unavailable: another process still holds the lock after ``timeout`` seconds.
        """
        if not self.local:
            yield
            return
        try:
            with FileLock(f"{self.root}/.{purpose}{part and '-' + part}.lock", timeout=timeout):
                yield
        except Timeout as error:
            raise Unavailable(
                f"--storage {self.uri!r} is in use by another `advsweep {purpose}`; wait for it or stop it"
            ) from error

    # --- written by workers -----------------------------------------------------------------------------------------

    def write_trial(self, row: RecordRow) -> None:
        """Write a trial's row, with its ``history``: a mapping for every finished epoch."""
        columns = {name: row.get(name) for name in TRIAL.names}
        self._replace(row["trial"], "trial", "", packed(pa.Table.from_pylist([columns], schema=TRIAL)))

    def read_trial(self, trial: str) -> dict[str, Any] | None:
        """Read a trial's row; None if the record has no such trial."""
        tables = self._tables(trial, "trial")
        return _typed(tables[0].to_pylist()[0]) if tables else None

    def read_epochs(self, trial: str) -> list[dict[str, Any]]:
        """Read every finished epoch of a trial."""
        row = self.read_trial(trial)
        return [{"trial": trial, **epoch} for epoch in row["history"] or ()] if row else []

    def write_evaluations(self, trial: str, part: str, rows: Iterable[RecordRow]) -> None:
        """Write a part of a trial's evaluations, one row for each head; replaces the same ``part`` and leaves the others.

        A row has the columns of EVALUATIONS and of OUTCOMES, in any order; what is nullable may be left out.

        Raises:
            ValueError: an accuracy is not that of its ranks.
        """
        rows = [{**row, "part": part, "examples": len(row["ranks"]), "median_distance": _median(row)} for row in rows]
        for row in rows:
            if not np.isclose(np.mean(np.asarray(row["ranks"]) == 0), row["accuracy"], rtol=0, atol=1e-6):
                raise ValueError(f"evaluation {row['evaluation']}: accuracy {row['accuracy']} is not that of its ranks")
        # The outcomes before the rows that refer to them: a kill in between leaves outcomes that nothing refers to.
        self._replace(trial, "outcomes", part, packed(pa.Table.from_pylist(rows, schema=OUTCOMES)))
        self._replace(trial, "evaluations", part, packed(pa.Table.from_pylist(rows, schema=EVALUATIONS)))

    def write_measures(self, trial: str, part: str, rows: Iterable[RecordRow]) -> None:
        """Write a part of a trial's measurements, one row for each array: ``values`` is an array of any shape.

        Replaces the same ``part`` and leaves the others.
        """
        flat = [
            {**row, "shape": np.shape(row["values"]), "values": np.asarray(row["values"], np.float64).ravel()} for row in rows
        ]
        self._replace(trial, "measures", part, packed(pa.Table.from_pylist(flat, schema=MEASURES)))

    def write_failures(self, trial: str, part: str, rows: Iterable[RecordRow]) -> None:
        """Write a part of a trial's failed evaluations and measurements; replaces the same ``part`` and leaves the others."""
        self._replace(trial, "failures", part, packed(pa.Table.from_pylist([*rows], schema=FAILURES)))

    def write_weights(self, trial: str, epoch: int, data: bytes) -> None:
        """Write a trial's weights after an epoch, as safetensors."""
        name = FileName.of("weights", "", epoch, data, "safetensors")
        there = self._weights(trial, epoch)
        if name not in there:
            self._put(trial, name, data)
        self._delete(trial, [other for other in there if other != name])

    def read_weights(self, trial: str, epoch: int) -> bytes:
        """Read a trial's weights after an epoch, as safetensors.

        Raises:
            WeightsNotFoundError: they are not there, or were damaged and are set aside.
            BrokenRecordError: they are damaged, and this store sets nothing aside.
        """
        name = self.weights(trial, epoch)
        if name is not None:
            with suppress(FileNotFoundError):
                return self.read_file(trial, name)
            self._reopen(trial)
        raise WeightsNotFoundError(self.path(TRIALS_FOLDER, trial, f"weights-{epoch:06d}"))

    def weights(self, trial: str, epoch: int) -> FileName | None:
        """Find the file of a trial's weights after an epoch; None if it is not there."""
        return next(iter(newest(self._weights(trial, epoch), "weights")), None)

    def _reopen(self, trial: str) -> None:
        """Note that a finished trial has lost weights, so that the next run trains it again."""
        row = self.read_trial(trial)
        if row and row["status"] == Status.FINISHED:
            # An ended training has no state to go on from.
            self.write_trial({**row, "status": Status.UNFINISHED, "epochs": 0, "best_epoch": 0, "history": []})

    def _weights(self, trial: str, epoch: int) -> list[FileName]:
        names = self.trials([trial]).get(trial, [])
        return [name for name in names if name.table == "weights" and name.order == epoch]

    def keep_weights(self, trial: str, epochs: Iterable[int]) -> None:
        """Delete a trial's weights of all other epochs."""
        kept = set(epochs)
        names = self.trials([trial]).get(trial, [])
        self._delete(trial, [name for name in names if name.table == "weights" and name.order not in kept])

    def delete_temporaries(self, trial: str) -> None:
        """Delete what killed writers have left half-written of a trial that nobody else writes now."""
        for info in self.entries(f"{TRIALS_FOLDER}/{trial}") if self.local else ():
            if TEMPORARY.fullmatch(info.base_name):
                self.system.delete_file(info.path)

    def write_state(self, trial: str, epoch: int, data: bytes) -> None:
        """Write the state after an epoch, from which a trial's training continues; replaces the state before."""
        name = FileName.of("state", "", epoch, data, "pt")
        others = [other for other in self.trials([trial]).get(trial, []) if other.table == "state" and other != name]
        self._put(trial, name, data)
        self._delete(trial, others)

    def delete_state(self, trial: str) -> None:
        """Delete the state of a training that has ended."""
        self._delete(trial, [name for name in self.trials([trial]).get(trial, []) if name.table == "state"])

    def read_state(self, trial: str) -> bytes | None:
        """Read the state from which a trial's training continues; None if there is none.

        Raises:
            BrokenRecordError: it is damaged, and this store sets nothing aside.
        """
        return self.consistently(
            trial,
            self.trials([trial]).get(trial, []),
            lambda names: next((self.read_file(trial, name) for name in newest(names, "state")), None),
        )

    # --- read by the driver -----------------------------------------------------------------------------------------

    def index(self, trials: Iterable[str] | None = None) -> dict[str, Recorded]:
        """Return what the record holds of these trials (all by default), by their keys; without those that it does not hold."""
        listed = self.trials(trials)
        return indexed(rows(self, listed, INDEXED), listed)

    def configurations(self) -> list[dict[str, Any]]:
        """Read every trial's key (``trial``), ``config`` and ``versions``, as JSON, and when it was last ``updated``."""
        wanted = pa.schema([TRIAL.field(name) for name in ("trial", "config", "versions", "updated")])
        found: list[dict[str, Any]] = rows(self, self.trials(), {"trial": wanted})["trial"].to_pylist()
        return found

    def verify(self, trials: Iterable[str]) -> None:
        """Set aside every damaged file of these trials, also what no plan reads: outcomes, weights and states."""
        concurrently(self._verify, [(trial, name) for trial, names in self.trials(trials).items() for name in names])

    def reopen_lost(self, trials: Iterable[str]) -> None:
        """Note which of these trials, if they are finished, have lost weights, so that the next run trains them again."""
        listed = self.trials(trials)
        wanted = pa.schema([TRIAL.field(name) for name in ("trial", "status", "epochs", "best_epoch")])
        for row in rows(self, listed, {"trial": wanted})["trial"].to_pylist():
            there = {name.order for name in listed[row["trial"]] if name.table == "weights"}
            if not there.issuperset({row["epochs"], row["best_epoch"]}):
                self._reopen(row["trial"])

    def _verify(self, file: tuple[str, FileName]) -> None:
        try:
            self.verify_file(*file)
        except FileNotFoundError:  # replaced meanwhile
            return
        except BrokenRecordError as error:
            self._set_aside(trial_path(*file), error)
            if file[1].table == "weights":
                self._reopen(file[0])

    def recorded(self, trial: str) -> Recorded | None:
        """Return what the record holds of a trial; None if it does not hold it."""
        return self.index([trial]).get(trial)

    def _tables(self, trial: str, table: str, columns: Iterable[str] | None = None) -> list[pa.Table]:
        """Read the newest file of each part of a trial's table."""
        return self.consistently(
            trial,
            self.trials([trial]).get(trial, []),
            lambda names: [self.read_table(trial, name, columns) for name in newest(names, table)],
        )

    def read_evaluations(self, trial: str) -> list[dict[str, Any]]:
        """Read every evaluation of a trial, one row for each head."""
        parts = self._tables(trial, "evaluations")
        return list({(row["evaluation"], row["head"]): row for part in parts for row in part.to_pylist()}.values())

    def read_measures(self, trial: str) -> list[dict[str, Any]]:
        """Read every measurement of a trial, one row for each array; ``values`` is a float64 array of the row's shape."""
        rows = {(row["measurement"], row["array"]): row for part in self._tables(trial, "measures") for row in part.to_pylist()}
        return [{**row, "values": np.array(row["values"], np.float64).reshape(row["shape"])} for row in rows.values()]

    def measure_seconds(self, trial: str) -> dict[str, float]:
        """Read the seconds that the measures of a trial took, by their JSON; without their arrays, which may be large."""
        parts = self._tables(trial, "measures", ["measure_spec", "seconds"])
        return {row["measure_spec"]: row["seconds"] for part in parts for row in part.to_pylist()}

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest of a study; replaces the one of the same study and variant."""
        self.write(manifest.path, manifest.to_json().encode())

    def read_manifest(self, path: str) -> Manifest | None:
        """Read a manifest by its path in the storage; None if it is not there, or was damaged and is set aside."""
        if self.has_file(path):
            try:
                return self.manifest(path)
            except BrokenRecordError as error:
                self._set_aside(path, error)
        return None

    def manifests(self) -> list[Manifest]:
        """Read the manifests of all studies that were run here, in all variants."""
        return concurrently(self.manifest, self.manifest_paths())


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a trial's row its enumerations."""
    return {**row, "status": Status(row["status"]), "ending": Ending(row["ending"]) if row["ending"] else None}


def _median(row: RecordRow) -> float | None:
    """Compute the median distance of an evaluation; None unless its attack is minimal-norm."""
    distance = row.get("distance")
    return None if distance is None else float(np.median(distance))
