"""What a driver holds of a storage: a place among its drivers; and what it writes meanwhile: manifests, segments, views."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from analysis.record.files import BrokenRecordError
from orchestrator.errors import DiskFull
from orchestrator.execution.options import Options
from orchestrator.execution.upkeep.shown import Shown
from orchestrator.planning.plan import Plan
from orchestrator.record.compaction import LOOSE, compact
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store

if TYPE_CHECKING:
    from orchestrator.tracking.tracker import Tracker


class Held(NamedTuple):
    """What a driver holds of a storage: its ``claims``, and ``trackers`` of the views if it is the one that updates them."""

    claims: Claims
    trackers: Sequence["Tracker"]


@contextmanager
def holding(store: Store, command: str, options: Options, shown: Shown, console: Console) -> Iterator[Held]:
    """Create the storage if it does not exist, join its drivers, and update its views meanwhile."""
    store.create()
    plain = Store(store.uri)  # which sets no file of other studies aside
    with Claims.joined(store, command) as claims, _views(plain, options, shown, claims, console) as trackers:
        store.delete_abandoned()
        yield Held(claims, trackers)
        with suppress(BrokenRecordError, DiskFull):  # segments cost time only
            compact(plain, LOOSE)


def write_manifests(plan: Plan, store: Store, held: Held) -> None:
    """Write the manifests of a plan's studies, with what earlier ones have more."""
    with held.claims.turn("manifests"):
        for manifest in plan.manifests:
            before = store.read_manifest(manifest.path)
            store.write_manifest(manifest.with_added(before) if before else manifest)


def _views(
    store: Store, options: Options, shown: Shown, claims: Claims, console: Console
) -> AbstractContextManager[Sequence["Tracker"]]:
    """Update the views meanwhile if they are to be; otherwise MLflow and Optuna are not imported."""
    if not options.tracking:
        return nullcontext(())
    from orchestrator.execution.upkeep.views import tracked

    return tracked(store, options, shown, claims, console)
