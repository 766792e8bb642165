"""The record: parquet parts, checkpoints and manifests on any pyarrow filesystem.

The layout is :mod:`analysis.schema`'s. Every file is written under a temporary name and renamed, so a reader sees a whole
file or none, and a writer that is killed leaves the file before.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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
    filesystem,
)
from orchestrator.errors import Unavailable
from orchestrator.record.recorded import Recorded

Row = Mapping[str, Any]


class Store:
    """A storage by its URI. Cheap to make, and picklable by its URI.

    Raises:
        Unavailable: the URI names no known file system.
    """

    def __init__(self, uri: str) -> None:
        try:
            self._fs, self._root = filesystem(uri)
        except ValueError as error:
            raise Unavailable(f"--storage {uri!r}: {error}; allowed: a folder, or a URI such as s3://bucket/path") from error
        self.uri = uri if "://" in uri else self._root

    @property
    def local(self) -> bool:
        return isinstance(self._fs, fs.LocalFileSystem)

    @property
    def root(self) -> str:
        """Path of the storage on its file system."""
        return self._root

    def check_place(self) -> None:
        """Check that there can be a storage here, without making it.

        Raises:
            Unavailable: on this machine's disks, what it would lie in is a file.
        """
        place = next(p for p in (Path(self._root), *Path(self._root).parents) if p.exists())
        if self.local and not place.is_dir():
            raise Unavailable(f"--storage {self.uri!r} cannot be written: {str(place)!r} is not a folder")

    def create(self) -> None:
        """Make the storage if it is not there, and see that it can be written.

        Raises:
            Unavailable: it cannot.
        """
        try:
            with self.token():
                pass
        except (OSError, pa.ArrowException) as error:
            raise Unavailable(f"--storage {self.uri!r} cannot be written: {str(error).splitlines()[0]}") from error

    @contextmanager
    def token(self) -> Iterator[str]:
        """The name of a file that another machine sees only if it shares this storage."""
        token = f"token-{uuid.uuid4().hex}"
        self._write(token, b"")
        try:
            yield token
        finally:
            self._fs.delete_file(self._path(token))

    def sees(self, token: str) -> bool:
        return self._exists(token)

    def exists(self) -> bool:
        return bool(self._fs.get_file_info(self._root).type == fs.FileType.Directory)

    def identity(self) -> str:
        """What tells this storage from every other, wherever it is moved to; given to it when first asked for."""
        if not self._exists(IDENTITY_FILE):
            self._write(IDENTITY_FILE, uuid.uuid4().hex.encode())
        return self._read(IDENTITY_FILE).decode()

    @contextmanager
    def exclusively(self, purpose: str, timeout: float = 0, part: str = "") -> Iterator[None]:
        """Hold ``purpose`` alone among the processes of this machine; the lock goes with the process that holds it.

        ``part``: of the purpose; whoever holds another part is not waited for.

        Raises:
            Unavailable: another process still holds it after ``timeout`` seconds.
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
        """Whether a process of this machine holds ``purpose`` now."""
        try:
            with self.exclusively(purpose):
                return False
        except Unavailable:
            return True

    # --- written by workers -----------------------------------------------------------------------------------------

    def write_trial(self, row: Row, config: Mapping[str, Any]) -> None:
        """One trial's row; ``config``: its configuration, nested, of which every leaf becomes a column."""
        columns = {name: row[name] for name in TRIAL.names}
        table = pa.Table.from_pylist([columns], schema=TRIAL)
        for name, value in flatten(config).items():
            plain = value if isinstance(value, str | int | float | bool) else json.dumps(value)
            table = table.append_column(f"config.{name}", pa.array([plain]))
        self._write_table(f"{TRIALS_FOLDER}/{row['trial']}/trial.parquet", table)

    def read_trial(self, trial: str) -> dict[str, Any] | None:
        path = f"{TRIALS_FOLDER}/{trial}/trial.parquet"
        if not self._exists(path):
            return None
        table = self._read_table(path)
        row = dict(table.select(TRIAL.names).to_pylist()[0])
        return row | {"status": Status(row["status"]), "ending": Ending(row["ending"]) if row["ending"] else None}

    def write_epochs(self, trial: str, rows: Iterable[Row]) -> None:
        """Every finished epoch of a trial; replaces what was there."""
        self._write_table(f"{TRIALS_FOLDER}/{trial}/epochs.parquet", pa.Table.from_pylist(list(map(dict, rows)), schema=EPOCHS))

    def write_evaluations(self, trial: str, part: str, rows: Iterable[Row]) -> None:
        """Evaluations of a trial; replaces the part of that name, and leaves the others."""
        table = pa.Table.from_pylist(list(map(dict, rows)), schema=EVALUATIONS)
        self._write_table(f"{TRIALS_FOLDER}/{trial}/evaluations-{part}.parquet", table)

    def write_measures(self, trial: str, part: str, rows: Iterable[Row]) -> None:
        """Measurements of a trial, a row for each array: ``values`` of any shape, which becomes its column of that name.

        Replaces the part of that name, and leaves the others.
        """
        flat = [
            {**row, "shape": np.shape(row["values"]), "values": np.asarray(row["values"], np.float64).ravel()} for row in rows
        ]
        self._write_table(f"{TRIALS_FOLDER}/{trial}/measures-{part}.parquet", pa.Table.from_pylist(flat, schema=MEASURES))

    def write_weights(self, trial: str, epoch: int, data: bytes) -> None:
        self._write(_weights(trial, epoch), data)

    def read_weights(self, trial: str, epoch: int) -> bytes:
        return self._read(_weights(trial, epoch))

    def keep_weights(self, trial: str, epochs: Iterable[int]) -> None:
        """Delete the weights of every epoch but these, and what killed writers of this trial left half written."""
        kept = {self._path(_weights(trial, epoch)) for epoch in epochs}
        for info in self._fs.get_file_info(fs.FileSelector(self._path(f"{TRIALS_FOLDER}/{trial}"))):
            if info.extension == "tmp" or (info.extension == "safetensors" and info.path not in kept):
                self._fs.delete_file(info.path)

    def write_state(self, trial: str, data: bytes) -> None:
        self._write(f"{TRIALS_FOLDER}/{trial}/state.pt", data)

    def read_state(self, trial: str) -> bytes | None:
        path = f"{TRIALS_FOLDER}/{trial}/state.pt"
        return self._read(path) if self._exists(path) else None

    # --- read by the driver -----------------------------------------------------------------------------------------

    def trials(self) -> list[str]:
        """Keys of every trial in the record."""
        return sorted(i.base_name for i in self._list(TRIALS_FOLDER) if i.type == fs.FileType.Directory)

    def index(self, trials: Iterable[str]) -> dict[str, Recorded]:
        """What the record holds of each of these trials; those it does not know are left out."""
        known = set(self.trials())
        wanted = [trial for trial in dict.fromkeys(trials) if trial in known]
        with ThreadPoolExecutor(16) as pool:
            return {trial: found for trial, found in zip(wanted, pool.map(self.recorded, wanted), strict=True) if found}

    def recorded(self, trial: str) -> Recorded | None:
        """What the record holds of one trial."""
        row = self.read_trial(trial)
        if row is None:
            return None
        evaluations, measurements = self._keys(trial, "evaluations"), self._keys(trial, "measures")
        return Recorded(row["status"], row["reason"], row["epochs"], evaluations, measurements, row["ending"])

    def _keys(self, trial: str, kind: str) -> frozenset[str]:
        """Of all that a trial's parts of this kind hold."""
        column = {"evaluations": "evaluation", "measures": "measurement"}[kind]
        parts = (self._read_table(path, [column]) for path in self._parts(trial, kind))
        return frozenset(key for part in parts for key in part[column].to_pylist())

    def _parts(self, trial: str, kind: str) -> list[str]:
        """A trial's parts of ``evaluations`` or ``measures``."""
        folder = f"{TRIALS_FOLDER}/{trial}"
        return [f"{folder}/{i.base_name}" for i in self._list(folder) if i.base_name.startswith(f"{kind}-")]

    def read_epochs(self, trial: str) -> list[dict[str, Any]]:
        """Every finished epoch of a trial."""
        path = f"{TRIALS_FOLDER}/{trial}/epochs.parquet"
        if not self._exists(path):
            return []
        return list(self._read_table(path).to_pylist())

    def read_evaluations(self, trial: str) -> list[dict[str, Any]]:
        """Every evaluation of a trial, a row for each head, without what is said of single examples."""
        columns = [name for name in EVALUATIONS.names if name not in {"ranks", "broken", "distance"}]
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for path in self._parts(trial, "evaluations"):
            rows |= {(row["evaluation"], row["head"]): row for row in self._read_table(path, columns).to_pylist()}
        return list(rows.values())

    def read_measures(self, trial: str) -> list[dict[str, Any]]:
        """Every measurement of a trial, a row for each array; ``values`` is a float64 array of the row's shape."""
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for path in self._parts(trial, "measures"):
            rows |= {(row["measurement"], row["array"]): row for row in self._read_table(path).to_pylist()}
        return [{**row, "values": np.array(row["values"], np.float64).reshape(row["shape"])} for row in rows.values()]

    def measure_seconds(self, trial: str) -> dict[str, float]:
        """What the measures of a trial took, by their JSON; without their arrays, which may be large."""
        parts = (self._read_table(path, ["measure_spec", "seconds"]) for path in self._parts(trial, "measures"))
        return {row["measure_spec"]: row["seconds"] for part in parts for row in part.to_pylist()}

    def write_manifest(self, manifest: Manifest) -> None:
        self._write(manifest.path, manifest.to_json().encode())

    def read_manifest(self, path: str) -> Manifest | None:
        """The study that was run before as what ``path`` says, if it was."""
        return Manifest.from_json(self._read(path).decode()) if self._exists(path) else None

    def manifests(self) -> list[Manifest]:
        """Every study that was run here, in every variant."""
        found = self._fs.get_file_info(fs.FileSelector(self._path(STUDIES_FOLDER), recursive=True, allow_not_found=True))
        paths = sorted(i.path for i in found if i.base_name.endswith(".json") and not i.base_name.startswith("."))
        return [Manifest.from_json(self._fs.open_input_stream(path).read().decode()) for path in paths]

    # --- files ------------------------------------------------------------------------------------------------------

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _exists(self, path: str) -> bool:
        return bool(self._fs.get_file_info(self._path(path)).type == fs.FileType.File)

    def _list(self, path: str) -> list[fs.FileInfo]:
        infos = self._fs.get_file_info(fs.FileSelector(self._path(path), allow_not_found=True))
        return [i for i in infos if not i.base_name.startswith(".")]

    def _read(self, path: str) -> bytes:
        with self._fs.open_input_stream(self._path(path)) as stream:
            return bytes(stream.read())

    def _read_table(self, path: str, columns: list[str] | None = None) -> pa.Table:
        # In one read: a worker may replace the file at any time, and the footer of one version does not fit another's pages.
        return pq.ParquetFile(pa.BufferReader(self._read(path))).read(columns)

    def _write(self, path: str, data: bytes) -> None:
        folder, _, name = self._path(path).rpartition("/")
        self._fs.create_dir(folder, recursive=True)
        temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
        with self._fs.open_output_stream(temporary) as stream:
            stream.write(data)
        self._fs.move(temporary, f"{folder}/{name}")

    def _write_table(self, path: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self._write(path, sink.getvalue().to_pybytes())


def _weights(trial: str, epoch: int) -> str:
    return f"{TRIALS_FOLDER}/{trial}/weights-{epoch:04d}.safetensors"


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as dotted names (``{"module": {"beta": 2}}`` is ``{"module.beta": 2}``), without what is None."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat
