"""Signals: SIGTERM, as a scheduler sends it, stops a sweep as cleanly as Ctrl-C; a server ends with the command."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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


#: What ends a command, and how many seconds its processes have to end by themselves.
_ENDING, _PATIENCE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), 5.0


def run_group(command: Sequence[str]) -> int:
    """Run a command with all processes that it starts, none of which outlives this call; return its exit code.

    Ctrl-C, SIGTERM and SIGHUP end it (unless the user ignores SIGHUP, as nohup does); the exit code is 130 then.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in _ENDING}
    process = None
    try:
        for number in _ENDING:
            if number != signal.SIGHUP or before[number] != signal.SIG_IGN:
                signal.signal(number, stop)
        process = subprocess.Popen(command, process_group=0)
        return process.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)  # the end is not interrupted
        if process is not None:
            _end_group(process)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and what is left of the group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
