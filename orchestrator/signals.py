"""Signals: SIGTERM, as a cluster's scheduler sends it, stops a sweep as cleanly as Ctrl-C."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def terminate_as_interrupt() -> None:
    """Let SIGTERM call the handler of SIGINT (Ctrl-C) that is set when it arrives."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Call the handler of SIGINT."""
    handler = signal.getsignal(signal.SIGINT)
    # A shell starts background jobs with SIGINT ignored, but SIGTERM must stop them too.
    (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)


class InterruptNoted:
    """Calls ``note`` when Ctrl-C or SIGTERM arrives, before the handler of SIGINT that a library has set meanwhile."""

    def __init__(self, note: Callable[[], None]) -> None:
        self._note = note
        self._before: Any = None

    def watch(self) -> None:
        """Wrap the handler that is set now, unless it is wrapped already; in other threads than the main one do nothing."""
        before = signal.getsignal(signal.SIGINT)
        if before != self._handle and callable(before) and threading.current_thread() is threading.main_thread():
            self._before = before
            signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._note()
        self._before(number, frame)


@contextmanager
def interrupt_restored() -> Iterator[None]:
    """Restore the handler of SIGINT at the end."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupt_deferred() -> Iterator[None]:
    """Delay Ctrl-C to the end (a second one takes effect at once), for code that may crash or hide the exception."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        yield
        return
    received = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal received
        if received:
            before(number, frame)
        received = True

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if received:
        signal.raise_signal(signal.SIGINT)
