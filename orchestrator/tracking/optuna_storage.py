"""The storage of Optuna's studies: any that Optuna supports, by default a journal next to the record."""

import logging

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import ArgumentError

from orchestrator.errors import BadInput, Unavailable
from orchestrator.record.store import Store

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
            f"--optuna {url!r}: {_line(error)}; write the path of a journal, or a URL such as sqlite:///studies.db"
        ) from error
    except Exception as error:  # every database driver has its own errors; what the user can do is the same
        raise Unavailable(f"--optuna {url!r} cannot be reached: {_line(error)}") from error


def _line(error: Exception) -> str:
    """Return the first line of an error's message, at most 200 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
