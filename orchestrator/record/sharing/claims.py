"""Claims: which of several drivers that share a storage has what, such as a trial by its key.

A claim is an empty file whose name says what is claimed, and by which driver. No file system needs to rename, lock or write
conditionally for it: a driver writes its claim, then lists all of that name. It has what it claims if no other living driver
claims it. Otherwise the driver that started first waits for the others to give up, and gives up where they do not, since one of
them had it before. So of two drivers at most one has it, given that a file is listed once it is written, as on local disks, NFS
and object stores.
"""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from pyarrow import fs

from analysis.record.schema import CLAIMS_FOLDER, DRIVERS_FOLDER
from orchestrator.errors import Unavailable, one_line
from orchestrator.record.files import Files
from orchestrator.record.sharing.drivers import (
    BEAT,
    ID,
    LIMIT,
    Driver,
    delete_heartbeat,
    drivers,
    heartbeats,
    last_heartbeat,
    locked,
    write_heartbeat,
)

#: The claim of the driver that updates the views of the storage.
VIEWS = "views"

#: Seconds between the looks of the first driver at whether the others give up.
_PAUSES = (0.0, 0.1, 0.3, 1.0)

#: Seconds between two tries to get a turn.
_TURN = 0.5


class Claims:
    """The claims of this driver; made by :meth:`joined`, which ends them too.

    Attributes:
        driver: this process.
        lost: what this driver had before it was suspended or cut off from the storage, so that another may have it now.
    """

    def __init__(self, files: Files, driver: Driver) -> None:
        self.driver = driver
        self.lost: set[str] = set()
        self._files = files
        self._mine: set[str] = set()
        self._beaten = time.time()
        self._end = threading.Event()

    @classmethod
    @contextmanager
    def joined(cls, files: Files, command: str, alone: bool = False) -> Iterator[Self]:
        """Join the drivers of a storage that exists; at the end, give up all claims.

        Args:
            files: the storage.
            command: of advsweep, for messages to other drivers.
            alone: whether no other driver may work on the storage meanwhile.

        Raises:
            Unavailable: another driver works on it, and one of the two must be alone.
        """
        claims = cls(files, Driver.here(command, alone))
        with ExitStack() as held:
            try:
                held.enter_context(locked(files, claims.driver))
                held.callback(claims._leave)
                write_heartbeat(files, claims.driver)
                claims._delete_dead()
                others = claims.others()
            except OSError as error:
                raise Unavailable(f"--storage {files.uri!r} cannot be shared: {one_line(error)}") from error
            for other in others:
                if alone or other.alone:
                    raise Unavailable(f"--storage {files.uri!r} is in use by {other}; wait for it or stop it")
            thread = threading.Thread(target=claims._beat, name="heartbeat", daemon=True)
            thread.start()
            held.callback(thread.join, LIMIT)
            held.callback(claims._end.set)
            yield claims

    def others(self) -> list[Driver]:
        """List the other living drivers."""
        return [driver for id, driver in self._drivers().items() if id != self.driver.id]

    def claim(self, name: str) -> Driver | None:
        """Claim something, such as a trial by its key. Return None if this driver has it now, or else the driver that has it.

        ``name``: without dots and slashes.
        """
        if name in self._mine:
            return None
        other = next(iter(self.taken([name]).values()), None) or self._bid(name)
        if other is None:
            self._mine.add(name)
            self.lost.discard(name)
        return other

    def release(self, *names: str) -> None:
        """Give up claims; names that this driver does not have are passed over."""
        for name in self._mine.intersection(names):
            self._mine.discard(name)
            self._files.delete(self._path(name))

    def taken(self, names: Collection[str]) -> dict[str, Driver]:
        """Find what other living drivers claim of these names, and who does."""
        claims = [(name, id) for name, id in self._listed() if name in names and id != self.driver.id]
        if not claims:
            return {}
        living = self._drivers()
        return {name: living[id] for name, id in reversed(claims) if id in living}

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Wait for a claim, and give it up at the end: for what takes a driver less than a second.

        Raises:
            Unavailable: another driver has it for minutes.
        """
        until = time.monotonic() + 2 * LIMIT
        while other := self.claim(name):
            if time.monotonic() > until:
                raise Unavailable(f"--storage {self._files.uri!r}: {other} does not give up its claim on {name!r}; stop it")
            time.sleep(_TURN)
        try:
            yield
        finally:
            self.release(name)

    def ask(self, name: str) -> None:
        """Ask the driver that has a claim to do at its end what it does once more, for this one."""
        self._files.write(_request(name), b"", flushed=False)

    def asked(self, name: str) -> bool:
        """Check whether a driver has asked, since the last request was taken."""
        return self._files.has_file(_request(name))

    def take_request(self, name: str) -> None:
        """Take the requests that were made so far: what is done from now on serves them."""
        self._files.delete(_request(name))

    def _bid(self, name: str) -> Driver | None:
        """Write a claim, and take it back if another driver has it; return that driver, or None."""
        self._files.write(self._path(name), b"", flushed=False)
        other = None
        for pause in _PAUSES:
            time.sleep(pause)
            other = self.taken([name]).get(name)
            if other is None:
                return None
            if other.id < self.driver.id:
                break
        self._files.delete(self._path(name))
        return other

    def _path(self, name: str) -> str:
        return f"{CLAIMS_FOLDER}/{name}.{self.driver.id}"

    def _listed(self) -> list[tuple[str, str]]:
        """List every claim: its name, and the id of its driver, smallest first."""
        listed = (info for info in self._files.entries(CLAIMS_FOLDER) if info.type == fs.FileType.File)
        found = (info.base_name.rpartition(".") for info in listed)
        return sorted((name, id) for name, _, id in found if name)

    def _drivers(self) -> dict[str, Driver]:
        """Find the living drivers, by the storage's clock, which this driver's heartbeat shows."""
        if (now := last_heartbeat(self._files, self.driver)) is None:  # somebody has deleted it
            write_heartbeat(self._files, self.driver)
            now = last_heartbeat(self._files, self.driver)
        return drivers(self._files, now)

    def _beat(self) -> None:
        """Write heartbeats until the end. After a time without, others may have taken over what this driver has."""
        while not self._end.wait(BEAT):
            with suppress(Exception):  # a full disk, or a server that does not answer: tried again with the next
                write_heartbeat(self._files, self.driver)
                if time.time() - self._beaten > LIMIT:
                    self._give_up()
                self._beaten = time.time()

    def _give_up(self) -> None:
        """Give up everything: another driver may have it now, or have ended it meanwhile. It can be claimed again."""
        for name in sorted(self._mine):
            self.lost.add(name)
            self.release(name)

    def _delete_dead(self) -> None:
        """Delete what killed drivers have left; one that has just started may not have written its heartbeat yet."""
        living, before = self._drivers(), f"{int(1000 * (self.driver.began - LIMIT)):013d}"
        of_claims = {id for _, id in self._listed() if ID.fullmatch(id)}
        for id in (heartbeats(self._files) | of_claims) - living.keys():
            if id < before:
                with suppress(OSError):  # another user's
                    self._delete(id)

    def _delete(self, id: str) -> None:
        """Delete the claims of a driver, and then its heartbeat."""
        for name, of in self._listed():
            if of == id:
                self._files.delete(f"{CLAIMS_FOLDER}/{name}.{of}")
        delete_heartbeat(self._files, id)

    def _leave(self) -> None:
        """Give up all claims; where the storage does not answer, they expire."""
        with suppress(OSError):
            self._delete(self.driver.id)


def _request(name: str) -> str:
    return f"{DRIVERS_FOLDER}/{name}.asked"
