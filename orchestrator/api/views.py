"""Update MLflow and Optuna, which are views of the record, from it."""

from collections.abc import Callable
from functools import partial

from orchestrator.api.observer import Observer, Synced
from orchestrator.api.records import existing_store, storage_errors
from orchestrator.api.terms import STORAGE
from orchestrator.environment import configure_environment
from orchestrator.errors import AdvsweepError, Unavailable, one_line
from orchestrator.record.sharing.drivers import drivers
from orchestrator.record.store import Store


def sync(storage: str = STORAGE, *, optuna: str | None = None, observer: Observer | None = None) -> tuple[Synced, ...]:
    """Update MLflow and Optuna from the record: after a crash, a server that was down, or a run without tracking.

    Args:
        storage: a folder or URI.
        optuna: Optuna's storage, a journal's path or a database's URL; None for a journal in the storage.
        observer: is called for each view that has been updated.

    Raises:
        Unavailable: there is no storage, or a view cannot be reached; the other view is updated all the same.

    >>> import advsweep
    >>> mlflow, optuna = advsweep.sync("results")
    >>> mlflow.written
    '0 runs updated'
    """
    store, observer = existing_store(storage), observer or Observer()
    done: list[Synced] = []
    refused: list[str] = []
    views: tuple[Callable[[Store], Synced], ...] = (sync_mlflow, partial(sync_optuna, url=optuna))
    for view in views:
        try:
            with storage_errors(storage):
                done.append(view(store))
        except AdvsweepError as error:
            refused.append(str(error))
        except Exception as error:  # of a server or a database; what the user can do is the same
            refused.append(f"{type(error).__name__}: {one_line(error)}")
        else:
            observer.synced(done[-1])
    if refused:
        raise Unavailable("; ".join(refused))
    return tuple(done)


def sync_mlflow(store: Store) -> Synced:
    """Update MLflow from the record: its server at ``MLFLOW_TRACKING_URI``, or a database in the storage."""
    configure_environment()
    from orchestrator.api.shown import tables_of
    from orchestrator.tracking.mlflow_database import default_uri
    from orchestrator.tracking.mlflow_view import MlflowView

    view = MlflowView.open(store)
    written = view.sync(live=None if drivers(store) else ()) + view.sync_tables(tables_of(store.uri))
    return Synced(default_uri(store), f"{written} runs updated", tuple(view.notes))


def sync_optuna(store: Store, url: str | None = None) -> Synced:
    """Update Optuna from the record, at ``url`` or in a journal in the storage."""
    configure_environment()
    from orchestrator.api.shown import numbers_of
    from orchestrator.tracking.optuna_storage import default_url
    from orchestrator.tracking.optuna_view import OptunaView

    url = url or default_url(store)
    if url is None:
        return Synced("Optuna", "not updated, for its journal cannot be in a remote storage; give another place by --optuna")
    view = OptunaView.open(url, store, numbers_of(store.uri))
    reported = view.sync(live=None)
    return Synced(url, f"{reported} trials reported to Optuna", tuple(view.notes))
