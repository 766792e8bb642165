"""What shows the record elsewhere, such as MLflow, and keeps up with a sweep: a thread for each view."""

import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol


class View(Protocol):
    """A view of the record: it holds nothing that the record does not, and can be brought up to it at any time."""

    name: str

    def sync(self, live: Collection[str] | None, only: Collection[str] | None = None) -> int:
        """Bring it up to the record.

        ``live``: trials that are running now, None where another process runs them. ``only``: trials to look at; None for all.

        Returns:
            how much had to be written.
        """


class Tracker:
    """Brings a view up to the record while a sweep runs, off the training path.

    A thread of the driver; a server that stops answering is tried again at the next turn, and never waited for. Each view has
    a tracker of its own, so that none waits for another. ``last``: what is shown when the sweep is over.
    """

    def __init__(self, view: View, last: Callable[[], int] | None = None, interval: float = 5.0) -> None:
        self.name = view.name
        self.error = ""
        self._view = view
        self._last = last
        self._interval = interval
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._live: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=view.name, daemon=True)

    def start(self) -> None:
        """Begin, with whatever an earlier run left behind."""
        self._thread.start()

    def changed(self, key: str, live: bool) -> None:
        """A trial has something new in the record; ``live``: it is still running."""
        with self._lock:
            self._changed.add(key)
            (self._live.add if live else self._live.discard)(key)

    def stop(self, timeout: float = 60.0) -> bool:
        """Show everything, with nothing live any more; False if the view could not be brought up to the record in time."""
        with self._lock:
            self._live.clear()
        self._stop.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self.error = self.error or f"{self.name} did not answer within {timeout:g} s"
        return not self.error

    def _loop(self) -> None:
        self._try(partial(self._view.sync, live=()))
        while not self._stop.wait(self._interval):
            with self._lock:
                changed, live = set(self._changed), set(self._live)
                self._changed.clear()
            if changed and not self._try(partial(self._view.sync, live, only=changed)):
                with self._lock:
                    self._changed |= changed
        if self._try(partial(self._view.sync, live=())) and self._last:
            self._try(self._last)

    def _try(self, turn: Callable[[], int]) -> bool:
        try:
            turn()
        except Exception as error:  # a view must never harm the sweep; the record is complete without it
            self.error = (str(error).splitlines() or [type(error).__name__])[0][:200]
            return False
        self.error = ""
        return True
