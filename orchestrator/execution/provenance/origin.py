"""The git state of the folder in which a user started a command, taken once by the driver."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from orchestrator.record.environments import write_environment
from orchestrator.record.files import Files

#: The longest difference that is kept, in bytes; a longer one is cut, and says so in its last line.
LIMIT = 2**20

#: The longest that git may take, in seconds.
PATIENCE = 10.0


class Origin(NamedTuple):
    """The git state of a folder: its ``commit``, and the digest of what differs from it, "" for nothing. None outside of git.

    ``diff``: names a file of :mod:`orchestrator.record.environments`.
    """

    commit: str | None = None
    diff: str | None = None


#: The origin of what is not started from a folder in git.
NOWHERE = Origin()


def origin_of(folder: Path, files: Files) -> Origin:
    """Return the git state of the work tree that a folder is in, and write its difference to a storage.

    Without a work tree, a commit or git itself, or where git takes too long, there is none.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None or (diff := _difference(folder)) is None:
        return NOWHERE
    return Origin(commit.decode().strip(), write_environment(files, diff) if diff else "")


def _difference(folder: Path) -> str | None:
    """Return what differs from the commit in the whole work tree; of files that git does not know their names alone."""
    changed = _git(folder, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD")
    # From the top: git lists others below the folder that it is called in. A folder of which git knows nothing is one line.
    unknown = _git(
        folder, "ls-files", "--others", "--exclude-standard", "--directory", "--no-empty-directory", "--full-name", ":/"
    )
    if changed is None or unknown is None:
        return None
    names = [f"untracked: {name}\n" for name in unknown.decode(errors="replace").splitlines()]
    text = "".join([changed.decode(errors="replace"), *names])
    size = len(data := text.encode())
    return text if size <= LIMIT else f"{data[:LIMIT].decode(errors='ignore')}\n[cut: {size - LIMIT} more bytes]\n"


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Run git in a folder; None where it fails, is missing, or takes too long."""
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}  # it only looks
    command = ["git", "-C", str(folder), "-c", "diff.relative=false", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=PATIENCE, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
