"""The errors that a user can cause, and their exit codes.

AdvsweepError
├── BadInput (2)          a name, field or value that is not allowed
├── Unavailable (2)       a storage, data set, cluster or server that is not there
├── SweepIncomplete (1)   the sweep ended with failed trials, or evaluations that could not be run
├── CheckFailed (1)       a row looks more robust than it is
└── Interrupted (130)     Ctrl-C, or a scheduler's SIGTERM
"""

from typing import ClassVar


class AdvsweepError(Exception):
    """An error whose message, one line, is all that the user needs."""

    exit_code: ClassVar[int] = 2


class BadInput(AdvsweepError):
    """A name, field or value that is not allowed; the message names it and what is."""


class Unavailable(AdvsweepError):
    """Something outside (storage, data, cluster, server) that cannot be reached, and how to mend that."""


class SweepIncomplete(AdvsweepError):
    """Some trials failed, or lack an evaluation that could not be run; all else is finished and recorded."""

    exit_code = 1


class CheckFailed(AdvsweepError):
    """Attacks that should agree do not: some row's robustness is not to be believed."""

    exit_code = 1


class Interrupted(AdvsweepError):
    """Stopped by the user; nothing finished is lost."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("stopped; finished work is kept. To go on, run the same command again")
