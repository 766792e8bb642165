"""Where MLflow keeps its runs: a server, or a database that is made, moved and mended here."""

import logging
import os
import sqlite3
import uuid
from contextlib import closing, suppress
from pathlib import Path

from mlflow import MlflowClient

from orchestrator.errors import Unavailable, one_line
from orchestrator.record.store import Store
from orchestrator.tracking.set_aside import note, set_aside

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs tracebacks of errors that it raises too
logging.getLogger("alembic").setLevel(logging.WARNING)

#: The folder beside a database that has its runs' files.
ARTIFACTS = "mlflow-artifacts"

#: What SQLite says of a file that is not, or not any more, a database.
_DAMAGED = ("sqlite3.DatabaseError", "database disk image is malformed", "file is not a database", "no such table")


def default_uri(store: Store) -> str:
    """Return ``MLFLOW_TRACKING_URI``, or a SQLite database in the storage (if that is remote, in the working directory)."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    return f"sqlite:///{store.root if store.local else Path.cwd()}/mlflow.db"


def database_of(uri: str) -> Path | None:
    """Return the file of a SQLite database; None for a server or another database."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


def connect(uri: str) -> MlflowClient:
    """Connect to a tracking server or a SQLite database, which is created if it does not exist.

    Raises:
        Unavailable: nothing answers at ``uri``.
    """
    try:
        if database := database_of(uri):
            _make(database)
            _settle(database)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # every database driver has its own errors; what the user can do is the same
        if os.environ.get("MLFLOW_TRACKING_URI"):
            what, remedy = f"MLFLOW_TRACKING_URI={uri!r} cannot be reached", "start that server, or unset the variable"
        else:
            what, remedy = f"MLflow's database {uri!r} cannot be used", "make it writable, or set MLFLOW_TRACKING_URI"
        later = "`advsweep run --no-tracking` leaves MLflow to a later `advsweep sync`"
        raise Unavailable(f"{what}: {one_line(error)}; {remedy}; {later}") from error
    return client


def is_damage(error: BaseException) -> bool:
    """Check whether an error, or one that it comes from, says that a SQLite database is damaged."""
    text = f"{error} {error.__cause__ or ''}"
    return any(sign in text for sign in _DAMAGED)


def replace_damaged(database: Path) -> str:
    """Set a damaged database aside, make an empty one in its place, and return a line that says so."""
    # A log of the old database must not be applied to the new one.
    kept = set_aside(database, *(database.with_name(database.name + end) for end in ("-journal", "-wal", "-shm")))
    _make(database)
    # MLflow keeps a store for each URI, whose connections are to the file that was set aside.
    MlflowClient(tracking_uri=f"sqlite:///{database}")._tracking_client.store.engine.dispose()
    return note(database, kept)


def _make(database: Path) -> None:
    """Create a SQLite database atomically: MLflow takes seconds to create its tables, and cannot continue with half of them."""
    if database.exists():
        return
    temporary = database.with_name(f".{database.name}.{uuid.uuid4().hex}.tmp")
    MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)
    with suppress(FileExistsError):  # another process was faster
        os.link(temporary, database)
    temporary.unlink()


def artifacts_of(database: Path, paper: str) -> str:
    """Return the folder for the files of a paper's runs: beside the database, so that both are copied and moved together."""
    return f"{database.resolve().parent}/{ARTIFACTS}/{paper}"


def _settle(database: Path) -> None:
    """Let a database that was copied or moved here keep its runs' files here.

    MLflow stores absolute paths: without this it would write into the folder that the database came from.
    """
    here = str(database.resolve().parent)
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        found = connection.execute(
            "SELECT artifact_location FROM experiments WHERE artifact_location LIKE ?", [f"%/{ARTIFACTS}/%"]
        )
        for there in {location.rpartition(f"/{ARTIFACTS}/")[0] for (location,) in found} - {here}:
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    [here, len(there) + 1, len(there) + 1, f"{there}/"],
                )


def own_database(store: Store) -> Path | None:
    """Return the file of MLflow's database if it is the one that is made where no other is named; None otherwise."""
    return None if os.environ.get("MLFLOW_TRACKING_URI") else database_of(default_uri(store))


def connect_own(store: Store) -> tuple[MlflowClient, list[str]]:
    """Connect to MLflow as :func:`default_uri` says, and return lines for the user: that a damaged database was set aside, say.

    Raises:
        Unavailable: as :func:`connect`.
    """
    uri = default_uri(store)
    try:
        return connect(uri), []
    except Unavailable as error:
        database = own_database(store)
        if database is None or error.__cause__ is None or not is_damage(error.__cause__):
            raise
    lines = [replace_damaged(database)]
    return connect(uri), lines
