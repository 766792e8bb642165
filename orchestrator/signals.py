"""Signals: SIGTERM, as a cluster's scheduler sends it, stops a sweep as cleanly as Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def terminate_as_interrupt() -> None:
    """Let SIGTERM call the handler of SIGINT (Ctrl-C) that is set when it arrives."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Call the handler of SIGINT."""
    handler = signal.getsignal(signal.SIGINT)
    # A shell starts background jobs with SIGINT ignored, but SIGTERM must stop them too.
    (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)


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
