"""Where Optuna's studies are kept: any storage that Optuna knows, by default a journal beside the record."""

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
    """A journal in the storage; None where that is remote, for a journal is a file that is locked and appended to."""
    return f"{store.root}/optuna.journal" if store.local else None


def open_storage(url: str) -> BaseStorage:
    """A database by its URL (``sqlite:///studies.db``, ``postgresql://...``), or a journal by its path, made if need be.

    Raises:
        BadInput: ``url`` is of no kind that Optuna knows.
        Unavailable: what it names cannot be reached or written.
    """
    try:
        if "://" not in url:
            return JournalStorage(JournalFileBackend(url))
        make_url(url).get_dialect()
        # A database that is away for a moment is asked again, and not trusted with a connection that died meanwhile.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except (ArgumentError, ImportError) as error:
        raise BadInput(
            f"--optuna {url!r}: {_line(error)}; write the path of a journal, or a URL such as sqlite:///studies.db"
        ) from error
    except Exception as error:  # whatever the database's driver raises, the user's next step is the same
        raise Unavailable(f"--optuna {url!r} cannot be reached: {_line(error)}") from error


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
