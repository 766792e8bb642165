"""The record: parquet parts, checkpoints and manifests on any pyarrow filesystem.

The layout is :mod:`analysis.schema`'s.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock, Timeout
from pyarrow import fs

from analysis.manifest import Manifest
from analysis.schema import (
    EPOCHS,
    EVALUATIONS,
    IDENTITY_FILE,
    MEASURES,
    STUDIES_FOLDER,
    TRIAL,
    TRIALS_FOLDER,
    Ending,
    Status,
)
from orchestrator.errors import Unavailable
from orchestrator.record.columns import RecordRow, flatten
from orchestrator.record.files import Files
from orchestrator.record.recorded import Recorded


class Store(Files):
    """The record in a storage: trials, their checkpoints, evaluations and measurements, and the manifests of studies."""

    def identity(self) -> str:
        """Return the storage's unique id, which is kept when it is moved; it is created at the first call."""
        if not self._exists(IDENTITY_FILE):
            self._write(IDENTITY_FILE, uuid.uuid4().hex.encode())
        return self._read(IDENTITY_FILE).decode()

    @contextmanager
    def exclusively(self, purpose: str, timeout: float = 0, part: str = "") -> Iterator[None]:
        """Hold the lock of a ``purpose`` (such as ``run``), or of one ``part`` of it; a process that dies releases its locks.

        Only processes of this machine are kept out, and only from a local storage.

        Raises:
            Unavailable: another process still holds the lock after ``timeout`` seconds.
        """
        if not self.local:
            yield
            return
        try:
            with FileLock(f"{self._root}/.{purpose}{part and '-' + part}.lock", timeout=timeout):
                yield
        except Timeout as error:
            raise Unavailable(
                f"--storage {self.uri!r} is in use by another `advsweep {purpose}`; wait for it or stop it"
            ) from error

    def held(self, purpose: str) -> bool:
        """Check whether a process of this machine holds the lock of this purpose."""
        try:
            with self.exclusively(purpose):
                return False
        except Unavailable:
            return True

    # --- written by workers -----------------------------------------------------------------------------------------

    def write_trial(self, row: RecordRow, config: Mapping[str, Any]) -> None:
        """Write a trial's row; every leaf of its nested ``config`` becomes a column ``config.<field>``."""
        columns = {name: row[name] for name in TRIAL.names}
        table = pa.Table.from_pylist([columns], schema=TRIAL)
        for name, value in flatten(config).items():
            plain = value if isinstance(value, str | int | float | bool) else json.dumps(value)
            table = table.append_column(f"config.{name}", pa.array([plain]))
        self._write_table(f"{TRIALS_FOLDER}/{row['trial']}/trial.parquet", table)

    def read_trial(self, trial: str) -> dict[str, Any] | None:
        """Read a trial's row; None if the record has no such trial."""
        path = f"{TRIALS_FOLDER}/{trial}/trial.parquet"
        if not self._exists(path):
            return None
        table = self._read_table(path)
        row = dict(table.select(TRIAL.names).to_pylist()[0])
        return row | {"status": Status(row["status"]), "ending": Ending(row["ending"]) if row["ending"] else None}

    def write_epochs(self, trial: str, rows: Iterable[RecordRow]) -> None:
        """Write every finished epoch of a trial; replaces the ones before."""
        self._write_table(f"{TRIALS_FOLDER}/{trial}/epochs.parquet", pa.Table.from_pylist(list(map(dict, rows)), schema=EPOCHS))

    def write_evaluations(self, trial: str, part: str, rows: Iterable[RecordRow]) -> None:
        """Write a file of a trial's evaluations; replaces the file of the same ``part`` and leaves the others."""
        table = pa.Table.from_pylist(list(map(dict, rows)), schema=EVALUATIONS)
        self._write_table(f"{TRIALS_FOLDER}/{trial}/evaluations-{part}.parquet", table)

    def write_measures(self, trial: str, part: str, rows: Iterable[RecordRow]) -> None:
        """Write a file of a trial's measurements, one row for each array: ``values`` is an array of any shape.

        Replaces the file of the same ``part`` and leaves the others.
        """
        flat = [
            {**row, "shape": np.shape(row["values"]), "values": np.asarray(row["values"], np.float64).ravel()} for row in rows
        ]
        self._write_table(f"{TRIALS_FOLDER}/{trial}/measures-{part}.parquet", pa.Table.from_pylist(flat, schema=MEASURES))

    def write_weights(self, trial: str, epoch: int, data: bytes) -> None:
        """Write a trial's weights after an epoch, as safetensors."""
        self._write(_weights(trial, epoch), data)

    def read_weights(self, trial: str, epoch: int) -> bytes:
        """Read a trial's weights after an epoch, as safetensors."""
        return self._read(_weights(trial, epoch))

    def keep_weights(self, trial: str, epochs: Iterable[int]) -> None:
        """Delete a trial's weights of all other epochs, and temporary files of writers that were killed."""
        kept = {self._path(_weights(trial, epoch)) for epoch in epochs}
        for info in self._fs.get_file_info(fs.FileSelector(self._path(f"{TRIALS_FOLDER}/{trial}"))):
            if info.extension == "tmp" or (info.extension == "safetensors" and info.path not in kept):
                self._fs.delete_file(info.path)

    def write_state(self, trial: str, data: bytes) -> None:
        """Write the state from which a trial's training continues."""
        self._write(f"{TRIALS_FOLDER}/{trial}/state.pt", data)

    def read_state(self, trial: str) -> bytes | None:
        """Read the state from which a trial's training continues; None if there is none."""
        path = f"{TRIALS_FOLDER}/{trial}/state.pt"
        return self._read(path) if self._exists(path) else None

    # --- read by the driver -----------------------------------------------------------------------------------------

    def trials(self) -> list[str]:
        """Return the keys of all trials in the record."""
        return sorted(i.base_name for i in self._list(TRIALS_FOLDER) if i.type == fs.FileType.Directory)

    def index(self, trials: Iterable[str]) -> dict[str, Recorded]:
        """Return what the record holds of these trials, by their keys; trials that it does not hold are left out."""
        known = set(self.trials())
        wanted = [trial for trial in dict.fromkeys(trials) if trial in known]
        with ThreadPoolExecutor(16) as pool:
            return {trial: found for trial, found in zip(wanted, pool.map(self.recorded, wanted), strict=True) if found}

    def recorded(self, trial: str) -> Recorded | None:
        """Return what the record holds of a trial; None if it does not hold it."""
        row = self.read_trial(trial)
        if row is None:
            return None
        evaluations, measurements = self._keys(trial, "evaluations"), self._keys(trial, "measures")
        return Recorded(row["status"], row["reason"], row["epochs"], evaluations, measurements, row["ending"])

    def _keys(self, trial: str, kind: str) -> frozenset[str]:
        """Return the keys of all ``evaluations`` or ``measures`` of a trial."""
        column = {"evaluations": "evaluation", "measures": "measurement"}[kind]
        parts = (self._read_table(path, [column]) for path in self._parts(trial, kind))
        return frozenset(key for part in parts for key in part[column].to_pylist())

    def _parts(self, trial: str, kind: str) -> list[str]:
        """Return the paths of a trial's files of ``evaluations`` or ``measures``."""
        folder = f"{TRIALS_FOLDER}/{trial}"
        return [f"{folder}/{i.base_name}" for i in self._list(folder) if i.base_name.startswith(f"{kind}-")]

    def read_epochs(self, trial: str) -> list[dict[str, Any]]:
        """Read every finished epoch of a trial."""
        path = f"{TRIALS_FOLDER}/{trial}/epochs.parquet"
        if not self._exists(path):
            return []
        return list(self._read_table(path).to_pylist())

    def read_evaluations(self, trial: str) -> list[dict[str, Any]]:
        """Read every evaluation of a trial, one row for each head, without the columns of single examples."""
        columns = [name for name in EVALUATIONS.names if name not in {"ranks", "broken", "distance"}]
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for path in self._parts(trial, "evaluations"):
            rows |= {(row["evaluation"], row["head"]): row for row in self._read_table(path, columns).to_pylist()}
        return list(rows.values())

    def read_measures(self, trial: str) -> list[dict[str, Any]]:
        """Read every measurement of a trial, one row for each array; ``values`` is a float64 array of the row's shape."""
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for path in self._parts(trial, "measures"):
            rows |= {(row["measurement"], row["array"]): row for row in self._read_table(path).to_pylist()}
        return [{**row, "values": np.array(row["values"], np.float64).reshape(row["shape"])} for row in rows.values()]

    def measure_seconds(self, trial: str) -> dict[str, float]:
        """Read the seconds that the measures of a trial took, by their JSON; without their arrays, which may be large."""
        parts = (self._read_table(path, ["measure_spec", "seconds"]) for path in self._parts(trial, "measures"))
        return {row["measure_spec"]: row["seconds"] for part in parts for row in part.to_pylist()}

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest of a study; replaces the one of the same study and variant."""
        self._write(manifest.path, manifest.to_json().encode())

    def read_manifest(self, path: str) -> Manifest | None:
        """Read a manifest by its path in the storage; None if it is not there."""
        return Manifest.from_json(self._read(path).decode()) if self._exists(path) else None

    def manifests(self) -> list[Manifest]:
        """Read the manifests of all studies that were run here, in all variants."""
        found = self._fs.get_file_info(fs.FileSelector(self._path(STUDIES_FOLDER), recursive=True, allow_not_found=True))
        paths = sorted(i.path for i in found if i.base_name.endswith(".json") and not i.base_name.startswith("."))
        return [Manifest.from_json(self._fs.open_input_stream(path).read().decode()) for path in paths]


def _weights(trial: str, epoch: int) -> str:
    return f"{TRIALS_FOLDER}/{trial}/weights-{epoch:04d}.safetensors"
