"""Views of the record, such as MLflow, updated while a sweep runs: one thread for each view."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

from analysis.record.files import BrokenRecordError
from orchestrator.errors import one_line

#: Seconds between two looks at whether there is progress.
_WAIT = 5.0

#: Seconds between two updates of the whole view, where other drivers run trials of the same record.
_WHOLE = 60.0

#: What a user can do where a view is behind: later, or where a file of the record is damaged, once it is mended.
_LATER = "`advsweep sync` updates it"
_MENDED = "`advsweep doctor` says what mends that file, and then `advsweep sync` updates it"


class RecordView(Protocol):
    """A view of the record: it holds nothing that the record does not hold, and can be updated from it at any time."""

    name: str

    @property
    def notes(self) -> Sequence[str]:
        """What happened that a user should know, a line each."""

    @property
    def left(self) -> int:
        """How many entries the update under way has still to write."""

    @property
    def written(self) -> int:
        """How many entries have been written; grows while there is progress."""

    def sync(self, live: Collection[str] | None, only: Collection[str] | None = None) -> int:
        """Update the view from the record.

        Args:
            live: keys of the trials that are running now; None if another process runs them.
            only: keys of the trials to update; None for all.

        Returns:
            how many entries were written.
        """


class Tracker:
    """Updates a view from the record while a sweep runs, in a thread of the driver, so that no training waits for it.

    A server that does not answer is tried again after ``interval`` seconds. Each view has its own tracker, so that none waits
    for another. ``others``: lists other drivers that run trials of the same record. ``last``: called once, after the sweep and
    the last update.

    Attributes:
        error: why the last update failed; "" if it did not.
        remedy: what the user can do about it.
    """

    def __init__(
        self,
        view: RecordView,
        last: Callable[[], int] | None = None,
        others: Callable[[], Collection[object]] = tuple,
        interval: float = 5.0,
    ) -> None:
        self.name = view.name
        self.error, self.remedy = "", _LATER
        self._view = view
        self._others = others
        self._last = last
        self._interval = interval
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._live: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=view.name, daemon=True)

    def start(self) -> None:
        """Start the thread, which first updates the whole view."""
        self._thread.start()

    def changed(self, key: str, live: bool) -> None:
        """Note that a trial has something new in the record; ``live``: whether it is still running."""
        with self._lock:
            self._changed.add(key)
            (self._live.add if live else self._live.discard)(key)

    @property
    def behind(self) -> int:
        """How many trials have something new in the record that the view does not show yet."""
        with self._lock:
            return max(self._view.left, len(self._changed))

    @property
    def notes(self) -> Sequence[str]:
        """What happened that a user should know, a line each."""
        return self._view.notes

    def stop(self, patience: float = 60.0, waiting: Callable[[int], None] = lambda behind: None) -> bool:
        """Update the whole view, with no trial running; return False if that fails.

        Args:
            patience: after so many seconds without progress it is given up.
            waiting: is called every few seconds with the number of trials that the view is behind.
        """
        with self._lock:
            self._live.clear()
        self._stop.set()
        written, since = self._view.written, time.monotonic()
        self._thread.join(min(patience, _WAIT))
        while self._thread.is_alive():
            if self._view.written > written:
                written, since = self._view.written, time.monotonic()
            elif time.monotonic() - since >= patience:
                self.error = self.error or f"{self.name} did not answer within {patience:g} s"
                break
            waiting(self.behind)
            self._thread.join(min(patience, _WAIT))
        return not self.error

    def _loop(self) -> None:
        self._try(self._whole)
        updated = time.monotonic()
        while not self._stop.wait(self._interval):
            with self._lock:
                changed, live = set(self._changed), set(self._live)
                self._changed.clear()
            if changed and not self._try(partial(self._view.sync, live, only=changed)):
                with self._lock:
                    self._changed |= changed
            if time.monotonic() - updated > _WHOLE:
                if self._others():
                    self._try(self._whole)
                updated = time.monotonic()
        if self._try(self._whole) and self._last:
            self._try(self._last)

    def _whole(self) -> int:
        """Update every trial; those that are not done are shown as running if another driver may run them."""
        with self._lock:
            live = None if self._others() else set(self._live)
        return self._view.sync(live)

    def _try(self, update: Callable[[], int]) -> bool:
        """Run an update; keep its error, and return False, if it fails."""
        try:
            update()
        except Exception as error:  # a view must never harm the sweep; the record is complete without it
            self.error = one_line(error)
            self.remedy = _MENDED if isinstance(error, BrokenRecordError) else _LATER
            return False
        self.error = ""
        return True
