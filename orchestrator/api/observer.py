"""Notifications from a function to its caller while it works."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from orchestrator.cost.estimate import Estimate
    from orchestrator.planning.plan import Plan
    from orchestrator.search.loop import Search
    from orchestrator.search.request import SearchRequest


@dataclass(frozen=True)
class Synced:
    """A view that was updated from the record.

    ``place``: its URI or path. ``written``: a description of what was written. ``notes``: what happened besides, a line each: a
    damaged database that was set aside, or a trial that MLflow refuses.
    """

    place: str
    written: str
    notes: tuple[str, ...] = ()


class Observer:
    """Is called at each step of a function and does nothing; a subclass overrides the steps that it needs.

    ``console``: shows the progress of trials; None shows nothing.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(quiet=True, force_terminal=False)

    def planned(self, plan: "Plan", expected: "Estimate") -> None:
        """Called before a plan is run. ``expected``: the estimated device-hours."""

    def damaged(self, path: str) -> None:
        """Called when a damaged file of the storage has been set aside; what it held is made anew."""

    def searching(self, request: "SearchRequest") -> None:
        """Called before a search starts."""

    def found(self, search: "Search") -> None:
        """Called when a search has ended, before its best configurations are trained for all seeds."""

    def synced(self, view: "Synced") -> None:
        """Called when MLflow or Optuna has been updated from the record."""
