"""MLflow and Optuna, updated while a driver works."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rich.console import Console

from analysis.record.names import digest
from orchestrator.errors import one_line
from orchestrator.execution.options import Options
from orchestrator.execution.upkeep.shown import Shown
from orchestrator.record.sharing.claims import VIEWS, Claims
from orchestrator.record.store import Store
from orchestrator.tracking.mlflow_database import default_uri, own_database
from orchestrator.tracking.mlflow_view import MlflowView
from orchestrator.tracking.optuna_storage import default_url
from orchestrator.tracking.optuna_view import OptunaView
from orchestrator.tracking.tracker import Tracker


@contextmanager
def tracked(store: Store, options: Options, shown: Shown, claims: Claims, console: Console) -> Iterator[Sequence[Tracker]]:
    """Update the views at the start, during the sweep and at its end, unless another driver of the storage does."""
    say = partial(console.print, markup=False, highlight=False)
    views = _claim_name(store, options)
    trackers: list[Tracker] = []
    if other := claims.claim(views):
        say(f"MLflow and Optuna are updated by {other}")
    else:
        trackers = _started(store, options, shown, claims)
    try:
        yield trackers
    finally:
        try:
            _finish(store, options, shown, claims, trackers, say)
        except OSError as error:
            say(f"MLflow and Optuna may be behind: the storage fails ({one_line(error)}); `advsweep sync` updates them")


def _finish(
    store: Store, options: Options, shown: Shown, claims: Claims, trackers: Sequence[Tracker], say: Callable[[str], None]
) -> None:
    """Update the views for the last time, to show what every driver has recorded.

    Each asks for it, and does it unless another one is at it.
    """
    views = _claim_name(store, options)
    claims.ask(views)
    while claims.claim(views) is None:
        claims.take_request(views)
        _stop(trackers or _started(store, options, shown, claims), say)
        claims.release(views)
        trackers = ()
        if not claims.asked(views):
            break


def _claim_name(store: Store, options: Options) -> str:
    """Name the claim of who updates the views: those in the storage, or a server and a database elsewhere."""
    if store.local and own_database(store) and options.optuna is None:
        return VIEWS
    return f"{VIEWS}-{digest(f'{default_uri(store)} {options.optuna or default_url(store)}'.encode())}"


def _started(store: Store, options: Options, shown: Shown, claims: Claims) -> list[Tracker]:
    """Start a tracker for MLflow, and one for Optuna if its studies have a storage."""
    mlflow = MlflowView.open(store)
    trackers = [Tracker(mlflow, partial(mlflow.sync_tables, shown.tables), claims.others)]
    if url := options.optuna or default_url(store):
        trackers.append(Tracker(OptunaView.open(url, store, shown.numbers), others=claims.others))
    for tracker in trackers:
        tracker.start()
    return trackers


def _stop(trackers: Sequence[Tracker], say: Callable[[str], None]) -> None:
    """Let trackers do their last update, and say what they could not do."""
    for tracker in trackers:
        if not tracker.stop(waiting=partial(_say_behind, say, tracker.name)):
            say(f"{tracker.name} is behind ({tracker.error}); nothing is lost: {tracker.remedy}")
        for note in tracker.notes:
            say(note)


def _say_behind(say: Callable[[str], None], name: str, behind: int) -> None:
    """Say how far a view is behind, while it is waited for."""
    say(f"{name} is {behind} trials behind; waiting for it, as long as it goes on")
