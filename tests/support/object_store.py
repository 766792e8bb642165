"""An object store that speaks S3, with its requests."""

import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from pyarrow import fs

#: What any client of a server on this machine may be called.
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}

_LINE = re.compile(r'"([A-Z]+) (\S+) HTTP/1\.\d" \d+')


class ObjectStore:
    """A running server with one bucket."""

    def __init__(self, port: int, log: Path) -> None:
        self._log = log
        self._options = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
        self._seen = 0

    def uri(self, name: str) -> str:
        """Return the URI of a storage in the bucket."""
        return f"s3://bucket/{name}?{self._options}"

    def make_bucket(self) -> None:
        made, _ = fs.FileSystem.from_uri(f"s3://bucket?{self._options}&allow_bucket_creation=true")
        made.create_dir("bucket")

    def requests(self) -> Counter[str]:
        """Count the requests since the last call by their methods."""
        found = _LINE.findall(re.sub(r"\x1b\[[\d;]*m", "", self._log.read_text(errors="replace")))
        new, self._seen = found[self._seen :], len(found)
        return Counter(method for method, _ in new)

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Self]:
        """Start a server on a free port, and stop it at the end; ``folder``: for its log."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = folder / "requests.txt"
        with log.open("wb") as file:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            _wait(server, port)
            made = cls(port, log)
            made.make_bucket()
            yield made
        finally:
            server.terminate()
            server.wait()


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    limit = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < limit:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the object store does not answer")


@contextmanager
def object_store_keys() -> Iterator[None]:
    """Set the keys for an object store in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Start an object store, with the keys for it in the environment."""
    with object_store_keys(), ObjectStore.started(folder) as made:
        yield made
