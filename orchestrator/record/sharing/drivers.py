"""The drivers of a storage: the processes that run its trials. Each writes a heartbeat while it lives.

One without a heartbeat for :data:`LIMIT` seconds is dead, and so at once is one of this machine that holds its lock no more.
Locks are for speed alone: of a driver of another machine, or another container, the heartbeat decides.
"""

import getpass
import json
import os
import re
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout
from pyarrow import fs
from pydantic import TypeAdapter

from analysis.record.schema import DRIVERS_FOLDER
from orchestrator.record.files import Files

#: The id of a driver; files of other names are not ours.
ID = re.compile(r"\d{13}-[0-9a-f]{8}")

#: Seconds between two heartbeats, and without one until a driver is dead.
BEAT, LIMIT = 10.0, 60.0


@dataclass(frozen=True)
class Driver:
    """A process that works on a storage.

    Attributes:
        id: unique; of two drivers, the one that started first has the smaller.
        command: of advsweep, such as ``run``.
        user, host, pid: whose process it is, and where.
        machine: identifies the machine since it was started, so that two of one name are not confused.
        alone: whether no other driver may work on the storage.
        began: when it started, in seconds since 1970.
    """

    id: str
    command: str
    user: str
    host: str
    pid: int
    machine: str
    alone: bool
    began: float

    @classmethod
    def here(cls, command: str, alone: bool = False) -> Self:
        """Describe this process as a new driver."""
        now = time.time()
        made = f"{int(1000 * now):013d}-{uuid.uuid4().hex[:8]}"
        return cls(made, command, user_name(), socket.gethostname(), os.getpid(), _machine(), alone, now)

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (advsweep {self.command}, process {self.pid})"


_DRIVER = TypeAdapter(Driver)


def drivers(files: Files, now: float | None = None) -> dict[str, Driver]:
    """Find the living drivers of a storage by their ids, in the order in which they started.

    One whose heartbeat this user may not read counts; a heartbeat that is no heartbeat does not, nor one from the future.

    Args:
        files: the storage.
        now: the time by the storage's clock, in seconds since 1970; None for this machine's.
    """
    now = time.time() if now is None else now
    found = {}
    for info in files.entries(DRIVERS_FOLDER):
        written = (info.mtime_ns or 0) / 1e9
        if info.type == fs.FileType.File and info.extension == "json" and abs(now - written) <= LIMIT:
            id = info.base_name.removesuffix(".json")
            try:
                driver = _DRIVER.validate_json(files.read(_heartbeat(id)))
            except PermissionError:
                driver = Driver(id, "", "another user", "unknown", 0, "", False, written)
            except (FileNotFoundError, ValueError):  # it ended meanwhile, or another version wrote it
                continue
            if driver.id == id and not _unlocked(files, driver):
                found[id] = driver
    return found


def _heartbeat(id: str) -> str:
    return f"{DRIVERS_FOLDER}/{id}.json"


def _lock(files: Files, id: str) -> Path:
    """Return the path of a driver's lock: in a local storage, or in a temporary folder of its machine."""
    return Path(files.path(DRIVERS_FOLDER, f"{id}.lock") if files.local else f"{tempfile.gettempdir()}/advsweep-{id}.lock")


def write_heartbeat(files: Files, driver: Driver) -> None:
    """Write that a driver lives."""
    files.write(_heartbeat(driver.id), json.dumps(asdict(driver)).encode(), flushed=False)


def last_heartbeat(files: Files, driver: Driver) -> float | None:
    """Return when a driver wrote its last heartbeat, in seconds since 1970 by the storage's clock; None if it has none."""
    written = files.system.get_file_info(files.path(_heartbeat(driver.id))).mtime_ns
    return written / 1e9 if written else None


def heartbeats(files: Files) -> set[str]:
    """List the ids of all drivers that have left a heartbeat or a lock, dead ones included."""
    listed = (info.base_name.rpartition(".") for info in files.entries(DRIVERS_FOLDER))
    return {id for id, _, extension in listed if extension in {"json", "lock"} and ID.fullmatch(id)}


def delete_heartbeat(files: Files, id: str) -> None:
    """Delete the heartbeat and the lock of a driver that has ended."""
    files.delete(_heartbeat(id))
    with suppress(OSError):  # in a temporary folder it may be another user's
        _lock(files, id).unlink()


@contextmanager
def locked(files: Files, driver: Driver) -> Iterator[None]:
    """Hold a driver's lock: the operating system ends it with the process."""
    lock = _lock(files, driver.id)
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):
        yield


def _unlocked(files: Files, driver: Driver) -> bool:
    """Check whether a driver is of this machine and holds its lock no more."""
    lock = _lock(files, driver.id)
    if driver.machine != _machine() or not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return True
    except (Timeout, OSError):
        return False


def _machine() -> str:
    """Identify this machine since it was started."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()}-{uuid.getnode()}"


def user_name() -> str:
    """Return the name of the user of this process; its number in a container whose user has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid())
