"""The files of a storage: listed, and read whole and verified."""

import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from analysis.record.manifest import Manifest
from analysis.record.names import FileName, digest, digest_of
from analysis.record.schema import STUDIES_FOLDER, TRIALS_FOLDER

#: Files read at once: reads wait for a disk or a network, and not for a core.
THREADS = 32

#: How often a trial is listed again because a writer has replaced a file between its listing and its reading.
TRIES = 20

#: Bytes that are read at once of a file that is only verified.
_BLOCK = 2**24

T = TypeVar("T")
U = TypeVar("U")


class StorageNotFoundError(FileNotFoundError):
    """No storage exists at the URI."""


class BrokenRecordError(ValueError):
    """A file of the record is unreadable or contradicts itself."""


def filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """Open the file system of a storage: a local path, or a URI that pyarrow knows (``s3://``, ``gs://``, ``file://``).

    Returns:
        the file system, and the storage's root path in it.

    Raises:
        ValueError: the URI is empty, or pyarrow does not know its file system or cannot open it.
    """
    if not uri.strip():  # which would be the current folder
        raise ValueError("is empty")
    if re.match(r"[a-z0-9]{2,}:/(?!/)", uri):
        raise ValueError(f"write {uri.replace(':/', '://', 1)}")
    if "://" in uri:
        try:
            found, root = fs.FileSystem.from_uri(_in_one_request(uri))
            return found, str(root)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise ValueError(str(error).splitlines()[0]) from error
    return fs.LocalFileSystem(), str(Path(uri).expanduser().resolve())


def _in_one_request(uri: str) -> str:
    """Let pyarrow write a file of less than 5 MB to S3 in one request in place of three."""
    scheme, _, rest = uri.partition("://")
    if scheme != "s3" or "allow_delayed_open=" in rest:
        return uri
    return f"{uri}{'&' if '?' in rest else '?'}allow_delayed_open=true"


class RecordFiles:
    """The files of a storage that exists.

    Args:
        uri: a folder, or a URI that pyarrow supports, such as ``s3://bucket/path``.

    Raises:
        ValueError: the URI is empty, or names no supported file system.
    """

    def __init__(self, uri: str | os.PathLike[str]) -> None:
        uri = os.fspath(uri)
        self.system, self.root = filesystem(uri)
        self.uri = uri if "://" in uri else self.root

    @property
    def local(self) -> bool:
        """Whether the storage is a folder on this machine's file system."""
        return isinstance(self.system, fs.LocalFileSystem)

    def path(self, *names: str) -> str:
        """Return the path of a file or folder below the storage's root."""
        return posixpath.join(self.root, *names)

    def exists(self) -> bool:
        """Check whether the storage has been created."""
        return bool(self.system.get_file_info(self.root).type == fs.FileType.Directory)

    def entries(self, folder: str, recursive: bool = False) -> list[fs.FileInfo]:
        """List what is in a folder below the root, in order; empty where there is no such folder."""
        found = self.system.get_file_info(fs.FileSelector(self.path(folder), recursive=recursive, allow_not_found=True))
        return sorted(found, key=lambda info: info.path)

    def trials(self, keys: Iterable[str] | None = None) -> dict[str, list[FileName]]:
        """List the files of these trials (all by default) by the trials' keys, in order; one without files is left out."""
        found = self._local_names(keys) if self.local else self._remote_names(keys)
        parsed = {
            trial: [parsed for name in sorted(names) if (parsed := FileName.parse(name))]
            for trial, names in sorted(found.items())
            if not trial.startswith(".") and not trial.endswith(".tmp")  # a folder that is still being copied
        }
        return {trial: names for trial, names in parsed.items() if names}

    def _local_names(self, keys: Iterable[str] | None) -> dict[str, list[str]]:
        """List names by trial on a local disk.

        In one system call a folder, without asking for each file's size as pyarrow does: a file replaced between the two
        would be missing, in its old version and in its new one.
        """
        found: dict[str, list[str]] = {}
        for trial in self._folders() if keys is None else set(keys):
            with suppress(FileNotFoundError, NotADirectoryError):
                found[trial] = os.listdir(self.path(TRIALS_FOLDER, trial))
        return found

    def _folders(self) -> list[str]:
        try:
            return os.listdir(self.path(TRIALS_FOLDER))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _remote_names(self, keys: Iterable[str] | None) -> dict[str, list[str]]:
        """List names by trial in an object store, in their order: a newer version comes after the one that it replaces."""
        wanted = None if keys is None else set(keys)
        # One request lists a thousand files, of any number of trials.
        every = wanted is None or len(wanted) > THREADS
        folders = [TRIALS_FOLDER] if wanted is None or every else [f"{TRIALS_FOLDER}/{key}" for key in sorted(wanted)]
        found: dict[str, list[str]] = defaultdict(list)
        for listed in concurrently(lambda folder: self.entries(folder, recursive=every), folders):
            for info in listed:
                folder, name = posixpath.split(info.path)
                trial = posixpath.basename(folder)
                if posixpath.dirname(folder) == self.path(TRIALS_FOLDER) and (wanted is None or trial in wanted):
                    found[trial].append(name)
        return found

    def read(self, path: str) -> bytes:
        """Read a whole file below the root."""
        with self.system.open_input_file(self.path(path)) as file:  # a stream would ask for 256 kB at a time
            return bytes(file.read())

    def read_file(self, trial: str, name: FileName) -> bytes:
        """Read and verify a file of a trial.

        Raises:
            FileNotFoundError: it is not there any more.
            BrokenRecordError: its bytes are not those that were written.
        """
        path = trial_path(trial, name)
        data = self.read(path)
        if digest(data) != name.digest:
            raise _damaged(self.path(path))
        return data

    def verify_file(self, trial: str, name: FileName) -> None:
        """Verify a file of a trial, which may be large, without returning it; errors as :meth:`read_file`."""
        path = self.path(trial_path(trial, name))
        with self.system.open_input_file(path) as file:
            if digest_of(iter(lambda: file.read(_BLOCK), b"")) != name.digest:
                raise _damaged(path)

    def read_table(self, trial: str, name: FileName, columns: Iterable[str] | None = None) -> pa.Table:
        """Read and verify a parquet file of a trial; errors as :meth:`read_file`."""
        data = self.read_file(trial, name)
        try:
            return pq.ParquetFile(pa.BufferReader(data)).read(None if columns is None else [*columns], use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise BrokenRecordError(f"{self.path(trial_path(trial, name))} is not readable: {error}") from error

    def manifest_paths(self) -> list[str]:
        """List the paths of all studies' manifests below the root."""
        found = self.entries(STUDIES_FOLDER, recursive=True)
        paths = (posixpath.relpath(info.path, self.root) for info in found if info.extension == "json")
        return [path for path in paths if not posixpath.basename(path).startswith(".")]

    def manifest(self, path: str) -> Manifest:
        """Read and verify a manifest by its path below the root; errors as :meth:`read_file`."""
        data = self.read(path)
        try:
            return Manifest.from_json(data.decode())
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenRecordError(f"{self.path(path)} is damaged: {error}") from error

    def consistently(self, trial: str, names: Sequence[FileName], read: Callable[[Sequence[FileName]], T]) -> T:
        """Read a trial's files; where a writer has replaced one meanwhile, list the trial again and read anew.

        ``names``: the trial's files as they were listed; ``read``: reads what it needs of those it is given.
        """
        for _ in range(TRIES):
            try:
                return read(names)
            except FileNotFoundError:
                names = self.trials([trial]).get(trial, [])
        return read(names)


def trial_path(trial: str, name: FileName) -> str:
    """Return the path of a trial's file below the root."""
    return f"{TRIALS_FOLDER}/{trial}/{name}"


def _damaged(path: str) -> BrokenRecordError:
    return BrokenRecordError(f"{path} is damaged: its bytes are not those that were written")


def concurrently(function: Callable[[U], T], items: Iterable[U]) -> list[T]:
    """Apply a function that waits for files to each item, in threads; the results are in the items' order."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, items))
