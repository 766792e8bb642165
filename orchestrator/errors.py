"""The errors that a user can cause, their exit codes, and what a message suggests.

AdvsweepError
├── BadInput (2)          a name, field or value that is not allowed
├── Unavailable (2)       a storage, data set, cluster or server that cannot be reached
│   └── DiskFull (2)      a storage without room
├── SweepIncomplete (1)   the sweep ended with failed trials, or evaluations that failed or could not be run
├── CheckFailed (1)       the checklist found that attacks overestimate a row's robustness
└── Interrupted (130)     Ctrl-C, a scheduler's SIGTERM, or --until
"""

from collections.abc import Collection
from difflib import get_close_matches
from typing import ClassVar


class AdvsweepError(Exception):
    """An error that a user can fix, with a message of one line that says how."""

    exit_code: ClassVar[int] = 2


class BadInput(AdvsweepError):
    """A name, field or value that is not allowed; the message names it, and the allowed ones."""


class Unavailable(AdvsweepError):
    """A storage, data set, cluster or server that cannot be reached; the message says how to fix that."""


class DiskFull(Unavailable):
    """A storage that has no room for what is to be written; what is finished is kept."""


class SweepIncomplete(AdvsweepError):
    """A sweep in which trials or evaluations failed, or could not be run; the others are finished and recorded."""

    exit_code = 1


class CheckFailed(AdvsweepError):
    """A table of which the checklist failed: the attacks overestimate the robustness of a row."""

    exit_code = 1


class Interrupted(AdvsweepError):
    """A command that the user, a scheduler or ``--until`` stopped; what is finished is kept. ``when``: at which time."""

    exit_code = 130

    def __init__(self, when: str = "") -> None:
        super().__init__(f"stopped{when}; finished work is kept. To go on, run the same command again")


def suggest(name: str, known: Collection[str], *, allowed: Collection[str] = (), likeness: float = 0.6) -> str:
    """Suggest the known name that is most like ``name``, which does not exist; or list the allowed ones, in their order.

    ``allowed``: what is listed; empty for all known names. ``likeness``: how alike two names must be for one to be
    suggested, in [0, 1] (the ratio of difflib.SequenceMatcher).
    """
    close = get_close_matches(name, known, n=1, cutoff=likeness)
    return f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(allowed or known)}"


def one_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class where it has none; of a library's error 200 characters.

    SQLAlchemy puts a line on its own state before the cause, such as a full disk.
    """
    lines = [line for line in str(error).splitlines() if "(raised as a result of" not in line]
    line = (lines or [""])[0] or type(error).__name__
    return line if isinstance(error, AdvsweepError) else line[:200]
