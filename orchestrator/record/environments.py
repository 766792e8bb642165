"""Texts that the rows of many trials share, each once: what was installed, and what differed from the git commit.

A text is a file whose name is the digest of its bytes; the columns ``packages`` and ``diff`` of a trial's row hold the digest.
"""

import re
from collections.abc import Iterable

import pyarrow as pa
from pyarrow import fs

from analysis.record.files import BrokenRecordError, RecordFiles
from analysis.record.names import digest
from analysis.record.rows import Listed, rows
from analysis.record.schema import ENVIRONMENTS_FOLDER, TRIAL
from orchestrator.record.files import Files

#: The columns of a trial's row that name such a text.
NAMING = ("packages", "diff")

#: The name of a text's file; other files among them are not ours.
TEXT = re.compile(r"[0-9a-f]{16}\.txt")

_NAMED = pa.schema([TRIAL.field(name) for name in NAMING])


def environment_path(found: str) -> str:
    """Return the path of a text below the storage's root, from its digest."""
    return f"{ENVIRONMENTS_FOLDER}/{found}.txt"


def write_environment(files: Files, text: str) -> str:
    """Write a text unless it is there; return its digest."""
    data = text.encode()
    found = digest(data)
    if not files.has_file(environment_path(found)):
        files.write(environment_path(found), data)
    return found


def read_environment(files: RecordFiles, found: str) -> bytes:
    """Read and verify a text by its digest.

    Raises:
        FileNotFoundError: it is not there.
        BrokenRecordError: its bytes are not those that were written.
    """
    data = files.read(environment_path(found))
    if digest(data) != found:
        raise BrokenRecordError(f"{files.path(environment_path(found))} is damaged: its bytes are not those that were written")
    return data


def environments(files: RecordFiles) -> list[str]:
    """List the digests of the texts that are there."""
    infos = files.entries(ENVIRONMENTS_FOLDER)
    return [info.base_name[:-4] for info in infos if info.type == fs.FileType.File and TEXT.fullmatch(info.base_name)]


def named_by(table: pa.Table) -> set[str]:
    """Collect the digests that trials' rows name, from a table with the columns :data:`NAMING`."""
    found: Iterable[str | None] = (value for name in NAMING for value in table[name].unique().to_pylist())
    return {value for value in found if value}


def named_in(files: RecordFiles, listed: Listed) -> set[str]:
    """Collect the digests that the rows of these trials name.

    Raises:
        BrokenRecordError: a row is damaged.
    """
    return named_by(rows(files, listed, {"trial": _NAMED})["trial"])
