"""Writing the files of a storage: each at once, on any pyarrow filesystem."""

import errno
import os
import posixpath
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from analysis.record.files import BrokenRecordError, RecordFiles, trial_path
from analysis.record.names import FileName
from analysis.record.schema import (
    CLAIMS_FOLDER,
    DRIVERS_FOLDER,
    ENVIRONMENTS_FOLDER,
    SEGMENTS_FOLDER,
    STUDIES_FOLDER,
    TRIALS_FOLDER,
)
from orchestrator.errors import DiskFull, Unavailable

#: File systems on which a file appears whole or not at all, and on which a rename is a copy.
_OBJECT_STORES = {"s3", "gcs", "abfs"}

#: The end of the name of a damaged file that was set aside.
ASIDE = ".damaged"

#: Where files are written.
FOLDERS = (TRIALS_FOLDER, STUDIES_FOLDER, SEGMENTS_FOLDER, ENVIRONMENTS_FOLDER, DRIVERS_FOLDER, CLAIMS_FOLDER)

#: The name of a temporary file or folder, and of a :meth:`Files.token`. Nothing else that ends in .tmp is ours.
TEMPORARY, TOKEN = re.compile(r"\.[^/]+\.[0-9a-f]{32}\.tmp"), re.compile(r"token-[0-9a-f]{32}")

#: Seconds after which a temporary file has no writer any more.
ABANDONED = 3600.0


class Files(RecordFiles):
    """The files below a folder or URI, which may not exist yet.

    A file is seen whole or not at all: it is written under a temporary name and renamed, or put at once in an object store. A
    writer that is killed leaves what was there before.

    Args:
        uri: a folder, or a URI that pyarrow supports, such as ``s3://bucket/path``.
        damaged: is passed the path of each damaged file that was read, which is set aside (renamed, and kept for the user) and
            from then on is as if it had never been written; None to set nothing aside, and raise an error.

    Raises:
        Unavailable: the URI names no supported file system.
    """

    def __init__(self, uri: str | os.PathLike[str], damaged: Callable[[str], None] | None = None) -> None:
        try:
            super().__init__(uri)
        except ValueError as error:
            raise Unavailable(
                f"--storage {str(uri)!r}: {error}; allowed: a folder, or a URI such as s3://bucket/path"
            ) from error
        self._damaged = damaged
        self._aside: set[str] = set()

    def read_file(self, trial: str, name: FileName) -> bytes:
        """Read and verify a file of a trial.

        Raises:
            FileNotFoundError: it is not there any more, or was damaged and is set aside.
            BrokenRecordError: it is damaged, and this store sets nothing aside.
        """
        try:
            return super().read_file(trial, name)
        except BrokenRecordError as error:
            self._set_aside(trial_path(trial, name), error)
            raise FileNotFoundError(str(error)) from error

    def _set_aside(self, path: str, error: BrokenRecordError) -> None:
        """Rename a damaged file, so that it is no part of the record any more and yet kept; raise the error otherwise."""
        # A file that is damaged again after it was made anew would be made anew for ever: the disk is broken.
        if self._damaged is None or path in self._aside:
            raise error
        self._aside.add(path)
        with suppress(FileNotFoundError):
            self.system.move(self.path(path), f"{self.path(path)}{ASIDE}")
        self._damaged(self.path(path))

    def check_location(self) -> None:
        """Check that the storage is a folder or can become one, without creating it.

        Raises:
            Unavailable: a part of its local path is a file.
        """
        if self.local and not self.nearest.is_dir():
            raise Unavailable(f"--storage {self.uri!r}: {str(self.nearest)!r} is not a folder")

    @property
    def nearest(self) -> Path:
        """The path of a local storage, or where it does not exist yet, of the nearest folder above it."""
        return next(path for path in (Path(self.root), *Path(self.root).parents) if path.exists())

    def create(self) -> None:
        """Create the storage if it does not exist, and check that it can be written.

        Raises:
            Unavailable: the storage cannot be written.
        """
        try:
            with self.token():
                pass
        except (OSError, pa.ArrowException) as error:
            raise Unavailable(f"--storage {self.uri!r} cannot be written: {str(error).splitlines()[0]}") from error

    @contextmanager
    def token(self) -> Iterator[str]:
        """Create a temporary file, and give its name: another machine sees the file only if it shares this storage."""
        token = f"token-{uuid.uuid4().hex}"
        self.write(token, b"")
        try:
            yield token
        finally:
            self.delete(token)

    def sees(self, token: str) -> bool:
        """Check whether the file of a :meth:`token` is there."""
        return self.has_file(token)

    def has_file(self, path: str) -> bool:
        """Check whether a file is there, by its path below the root."""
        return bool(self.system.get_file_info(self.path(path)).type == fs.FileType.File)

    def write(self, path: str, data: bytes, flushed: bool = True) -> None:
        """Write a file at once; replaces the one before.

        ``flushed``: whether it is on the disk before it is seen, so that a machine that crashes does not lose it.

        Raises:
            DiskFull: there is no room for it.
        """
        try:
            if self.system.type_name in _OBJECT_STORES:
                with self.system.open_output_stream(self.path(path)) as stream:
                    stream.write(data)
            else:
                self._write_renamed(self.path(path), data, flushed)
        except OSError as error:
            if is_full(error):
                raise DiskFull(full(self.uri)) from error
            raise

    def _write_renamed(self, path: str, data: bytes, flushed: bool) -> None:
        folder, _, name = path.rpartition("/")
        new = self.local and not os.path.isdir(folder)
        self.system.create_dir(folder, recursive=True)
        temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
        try:
            with self.system.open_output_stream(temporary) as stream:
                stream.write(data)
            if flushed:
                self._flush(temporary)
            self.system.move(temporary, path)
        except BaseException:
            with suppress(OSError):
                self.system.delete_file(temporary)
            raise
        if flushed:
            with suppress(OSError):  # some network file systems cannot flush a folder
                for changed in (folder, posixpath.dirname(folder)) if new else (folder,):
                    self._flush(changed)

    def _flush(self, path: str) -> None:
        """Wait until a file or folder is on the disk, so that a machine that crashes loses nothing of it."""
        if self.local:
            opened = os.open(path, os.O_RDONLY)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)

    def temporaries(self) -> list[str]:
        """List files that are being written, or were when their writer was killed; there are none in an object store."""
        folders = [(self.root, os.listdir(self.root))] if self.local else []
        for top in FOLDERS if self.local else ():
            folders += [(folder, names) for folder, _, names in os.walk(self.path(top))]
        return [f"{folder}/{name}" for folder, names in folders for name in names if TEMPORARY.fullmatch(name)]

    def delete_abandoned(self) -> None:
        """Delete what killed writers have left half-written: nothing takes an hour to write."""
        for path in self.temporaries():
            with suppress(FileNotFoundError):
                if time.time() - os.stat(path).st_mtime > ABANDONED:
                    os.remove(path)

    def delete(self, path: str) -> None:
        """Delete a file; another process may have deleted it before."""
        with suppress(FileNotFoundError):
            self.system.delete_file(self.path(path))

    def _put(self, trial: str, name: FileName, data: bytes) -> None:
        """Write a file of a trial."""
        self.write(trial_path(trial, name), data)

    def _delete(self, trial: str, names: list[FileName]) -> None:
        """Delete files of a trial."""
        for name in names:
            self.delete(trial_path(trial, name))

    def _replace(self, trial: str, table: str, part: str, data: bytes, extension: str = "parquet") -> None:
        """Write a newer version of a trial's file, then delete the older ones."""
        older = [n for n in self.trials([trial]).get(trial, []) if n.kind == (table, part)]
        name = FileName.of(table, part, 1 + max((n.order for n in older), default=0), data, extension)
        self._put(trial, name, data)
        self._delete(trial, older)


def packed(table: pa.Table) -> bytes:
    """Pack a table as parquet, in one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=None)
    return bytes(sink.getvalue().to_pybytes())


def is_full(error: BaseException) -> bool:
    """Check whether an error says that a disk or a quota is full."""
    return isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT))


def full(uri: str) -> str:
    """Say that a storage has no room left."""
    return f"--storage {uri!r}: no space left on its disk; make room and run the same command again, what is finished is kept"


def set_aside(path: str) -> str:
    """Say that a damaged file was set aside."""
    return f"{path} was damaged and is set aside as {posixpath.basename(path)}{ASIDE}; what is needed of it is made anew"
