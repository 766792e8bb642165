"""Writing the files of a storage: each at once, on any pyarrow filesystem."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from analysis.record.files import BrokenRecordError, RecordFiles
from analysis.record.names import FileName
from analysis.record.schema import TRIALS_FOLDER
from orchestrator.errors import Unavailable

#: File systems on which a file appears whole or not at all, and on which a rename is a copy.
_OBJECT_STORES = {"s3", "gcs", "abfs"}


class Files(RecordFiles):
    """The files below a folder or URI, which may not exist yet.

    A file is seen whole or not at all: it is written under a temporary name and renamed, or put at once in an object store. A
    writer that is killed leaves what was there before.

    Args:
        uri: a folder, or a URI that pyarrow supports, such as ``s3://bucket/path``.

    Raises:
        Unavailable: the URI names no supported file system.
    """

    def __init__(self, uri: str) -> None:
        try:
            super().__init__(uri)
        except ValueError as error:
            raise Unavailable(f"--storage {uri!r}: {error}; allowed: a folder, or a URI such as s3://bucket/path") from error

    def read_file(self, trial: str, name: FileName) -> bytes:
        """Read and verify a file of a trial.

        Raises:
            FileNotFoundError: it is not there any more.
            Unavailable: it is damaged.
        """
        try:
            return super().read_file(trial, name)
        except BrokenRecordError as error:
            raise Unavailable(str(error)) from error

    def read_table(self, trial: str, name: FileName, columns: Iterable[str] | None = None) -> pa.Table:
        """Read and verify a parquet file of a trial; errors as :meth:`read_file`."""
        try:
            return super().read_table(trial, name, columns)
        except BrokenRecordError as error:
            raise Unavailable(str(error)) from error

    def check_location(self) -> None:
        """Check that the storage can be created, without creating it.

        Raises:
            Unavailable: a part of its local path is a file.
        """
        nearest = next(p for p in (Path(self.root), *Path(self.root).parents) if p.exists())
        if self.local and not nearest.is_dir():
            raise Unavailable(f"--storage {self.uri!r} cannot be written: {str(nearest)!r} is not a folder")

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
        return self._exists(token)

    def _exists(self, path: str) -> bool:
        return bool(self.system.get_file_info(self.path(path)).type == fs.FileType.File)

    def write(self, path: str, data: bytes) -> None:
        """Write a file at once; replaces the one before."""
        if self.system.type_name in _OBJECT_STORES:
            with self.system.open_output_stream(self.path(path)) as stream:
                stream.write(data)
            return
        folder, _, name = self.path(path).rpartition("/")
        self.system.create_dir(folder, recursive=True)
        temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
        try:
            with self.system.open_output_stream(temporary) as stream:
                stream.write(data)
            self.system.move(temporary, f"{folder}/{name}")
        except BaseException:
            with suppress(OSError):
                self.system.delete_file(temporary)
            raise

    def delete(self, path: str) -> None:
        """Delete a file; another process may have deleted it before."""
        with suppress(FileNotFoundError):
            self.system.delete_file(self.path(path))

    def _put(self, trial: str, name: FileName, data: bytes) -> None:
        """Write a file of a trial."""
        self.write(f"{TRIALS_FOLDER}/{trial}/{name}", data)

    def _delete(self, trial: str, names: list[FileName]) -> None:
        """Delete files of a trial."""
        for name in names:
            self.delete(f"{TRIALS_FOLDER}/{trial}/{name}")

    def _replace(self, trial: str, table: str, part: str, data: bytes, extension: str = "parquet") -> None:
        """Write a newer version of a trial's file, then delete the older ones."""
        older = [n for n in self.trials([trial]).get(trial, []) if n.kind == (table, part)]
        name = FileName.of(table, part, 1 + max((n.order for n in older), default=0), data, extension)
        self._put(trial, name, data)
        self._delete(trial, older)


def packed(table: pa.Table, *, rows: int | None = None) -> bytes:
    """Pack a table as parquet; ``rows``: how many make a row group, by default all."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=rows)
    return bytes(sink.getvalue().to_pybytes())
