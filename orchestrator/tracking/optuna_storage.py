"""The storage of Optuna's studies: any that Optuna supports, by default a journal next to the record."""

import json
import logging
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import ArgumentError

from orchestrator.errors import BadInput, Unavailable, one_line
from orchestrator.record.store import Store
from orchestrator.tracking.set_aside import note, set_aside

optuna.logging.set_verbosity(logging.ERROR)


def default_url(store: Store) -> str | None:
    """Return the path of a journal in the storage; None if that is remote: a journal needs a file to lock and append to."""
    return f"{store.root}/optuna.journal" if store.local else None


def open_storage(url: str) -> BaseStorage:
    """Open a database by its URL (``sqlite:///studies.db``, ``postgresql://...``) or a journal by its path, or create it.

    Raises:
        BadInput: Optuna does not support this kind of URL.
        Unavailable: the database or file cannot be reached or written.
    """
    try:
        if "://" not in url:
            return JournalStorage(JournalFileBackend(url))
        make_url(url).get_dialect()
        # A connection is tested before it is used again: a database that was restarted has closed it.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except (ArgumentError, ImportError) as error:
        raise BadInput(
            f"--optuna {url!r}: {one_line(error)}; write the path of a journal, or a URL such as sqlite:///studies.db"
        ) from error
    except Exception as error:  # every database driver has its own errors; what the user can do is the same
        raise Unavailable(f"--optuna {url!r} cannot be reached: {one_line(error)}") from error


def open_own(store: Store) -> tuple[BaseStorage, list[str]]:
    """Open the journal in a storage, and return lines for the user: that a damaged one was set aside, say.

    A process that is killed while it appends leaves half a line, which would spoil all that is appended after it. The lines
    before the damage are kept: a search goes on from them.

    Raises:
        Unavailable: the journal cannot be written.
    """
    journal = Path(f"{store.root}/optuna.journal")
    lock = JournalFileSymlinkLock(str(journal))  # which Optuna holds while it appends
    try:
        lock.acquire()
    except OSError as error:
        raise Unavailable(f"--optuna {str(journal)!r} cannot be reached: {one_line(error)}") from error
    try:
        return _opened(journal)
    finally:
        lock.release()


def _opened(journal: Path) -> tuple[BaseStorage, list[str]]:
    try:
        if not journal.exists() or _all_whole(journal):
            return open_storage(str(journal)), []
    except Unavailable as error:
        if isinstance(error.__cause__, OSError):
            raise
    kept = set_aside(journal)
    lines = [note(journal, kept)]
    with open(kept, "rb") as damaged, open(journal, "wb") as file:
        for line in damaged:
            if not _is_whole(line):
                break
            file.write(line)
    try:
        return open_storage(str(journal)), lines
    except Unavailable:  # whole lines that contradict each other
        journal.write_bytes(b"")
    return open_storage(str(journal)), lines


def _is_whole(line: bytes) -> bool:
    """Check whether a line of a journal was written to its end."""
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _all_whole(journal: Path) -> bool:
    """Check every line: Optuna passes over a damaged last one, and fails once something is appended to it."""
    with open(journal, "rb") as file:
        return all(map(_is_whole, file))
