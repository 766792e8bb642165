"""A storage as files: each is read whole and replaced at once, on any pyarrow filesystem.

Every file is written under a temporary name and renamed, so a reader sees a whole file or none, and a writer that is killed
leaves the previous version.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from analysis.schema import filesystem
from orchestrator.errors import Unavailable


class Files:
    """The files below a folder or URI.

    Args:
        uri: a folder, or a URI that pyarrow supports, such as ``s3://bucket/path``.

    Raises:
        Unavailable: the URI names no supported file system.
    """

    def __init__(self, uri: str) -> None:
        try:
            self._fs, self._root = filesystem(uri)
        except ValueError as error:
            raise Unavailable(f"--storage {uri!r}: {error}; allowed: a folder, or a URI such as s3://bucket/path") from error
        self.uri = uri if "://" in uri else self._root

    @property
    def local(self) -> bool:
        """Whether the storage is a folder on this machine's file system."""
        return isinstance(self._fs, fs.LocalFileSystem)

    @property
    def root(self) -> str:
        """The path of the storage on its file system."""
        return self._root

    def check_location(self) -> None:
        """Check that the storage can be created, without creating it.

        Raises:
            Unavailable: a part of its local path is a file.
        """
        nearest = next(p for p in (Path(self._root), *Path(self._root).parents) if p.exists())
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
        self._write(token, b"")
        try:
            yield token
        finally:
            self._fs.delete_file(self._path(token))

    def sees(self, token: str) -> bool:
        """Check whether the file of a :meth:`token` is there."""
        return self._exists(token)

    def exists(self) -> bool:
        """Check whether the storage has been created."""
        return bool(self._fs.get_file_info(self._root).type == fs.FileType.Directory)

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
        # In one read: a worker may replace the file at any time, and one version's footer does not fit another's pages.
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
