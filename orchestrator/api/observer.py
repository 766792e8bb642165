"""What a caller may hear of a function while it works."""

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
    """A view that was brought up to the record. ``place``: its URI or path; ``written``: what had to be written, in words."""

    place: str
    written: str


class Observer:
    """Hears of the steps of a function, and ignores them; override what is to be heard.

    ``console``: where the progress of trials is shown; None for nowhere.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(quiet=True, force_terminal=False)

    def planned(self, plan: "Plan", expected: "Estimate") -> None:
        """A plan is about to be run; ``expected``: the device-hours that it takes."""

    def searching(self, request: "SearchRequest") -> None:
        """A search is about to start."""

    def found(self, search: "Search") -> None:
        """A search has ended; the best of what it found are about to be trained for all seeds."""

    def synced(self, view: "Synced") -> None:
        """MLflow or Optuna was brought up to the record."""
