"""Signals: a scheduler's SIGTERM stops as cleanly as Ctrl-C does."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def terminate_as_interrupt() -> None:
    """From now on SIGTERM does whatever Ctrl-C does at that moment."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    # A shell starts its background jobs with SIGINT ignored; SIGTERM is meant for them all the same.
    (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)


@contextmanager
def interrupt_restored() -> Iterator[None]:
    """Leave SIGINT as it was, whatever handler is set within."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupt_deferred() -> Iterator[None]:
    """Ctrl-C takes effect at the end, a second one at once: what is torn apart half-way may crash, or swallow the exception."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        yield
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            before(number, frame)
        came = True

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)
