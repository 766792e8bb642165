"""Bring MLflow and Optuna, which show the record, up to it."""

from collections.abc import Callable
from functools import partial

from orchestrator.api.observer import Observer, Synced
from orchestrator.api.records import existing_store
from orchestrator.api.terms import STORAGE
from orchestrator.environment import configure_environment
from orchestrator.errors import Unavailable
from orchestrator.record.store import Store


def sync(storage: str = STORAGE, *, optuna: str | None = None, observer: Observer | None = None) -> tuple[Synced, ...]:
    """Bring MLflow and Optuna up to the record: after a crash, a server that was down, or a run without mlflow_view.

    Args:
        storage: a folder or URI.
        optuna: where Optuna's studies are, a journal's path or a database's URL; None for a journal in the storage.
        observer: hears of each of the two as it is done.

    Raises:
        Unavailable: there is no storage, or one of the two cannot be reached, which does not hold up the other.

    >>> import advsweep
    >>> mlflow, optuna = advsweep.sync("results")
    >>> mlflow.written
    '0 runs brought up to date'
    """
    store, observer = existing_store(storage), observer or Observer()
    done: list[Synced] = []
    refused: list[str] = []
    views: tuple[Callable[[Store], Synced], ...] = (sync_mlflow, partial(sync_optuna, url=optuna))
    for view in views:
        try:
            done.append(view(store))
        except Unavailable as error:
            refused.append(str(error))
        else:
            observer.synced(done[-1])
    if refused:
        raise Unavailable("; ".join(refused))
    return tuple(done)


def sync_mlflow(store: Store) -> Synced:
    """Bring MLflow up to the record: ``MLFLOW_TRACKING_URI``, or a database in the storage."""
    configure_environment()
    from orchestrator.api.shown import tables_of
    from orchestrator.tracking import mlflow_view

    uri = mlflow_view.default_uri(store)
    view = mlflow_view.MlflowView(mlflow_view.connect(uri), store)
    written = view.sync(live=None if store.held("run") else ()) + view.sync_tables(tables_of(store.uri))
    return Synced(uri, f"{written} runs brought up to date")


def sync_optuna(store: Store, url: str | None = None) -> Synced:
    """Bring Optuna up to the record, in its journal there or at ``url``."""
    configure_environment()
    from analysis.load import BrokenRecordError
    from orchestrator.api.shown import numbers_of
    from orchestrator.tracking.optuna_storage import default_url, open_storage
    from orchestrator.tracking.optuna_view import OptunaView

    url = url or default_url(store)
    if url is None:
        return Synced("Optuna", "not told, for its journal cannot lie in a remote storage; name a place with --optuna")
    try:
        told = OptunaView(open_storage(url), store, numbers_of(store.uri)).sync(live=None)
    except BrokenRecordError as error:
        raise Unavailable(str(error)) from error
    return Synced(url, f"{told} trials told to Optuna")
