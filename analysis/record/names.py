"""Names of a trial's files: each says what the file holds, which of several is the newest, and the digest of its bytes."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_NAME = re.compile(
    r"(?P<table>[a-z]+)(?:-(?P<part>[0-9a-z]+))?-(?P<order>\d{6,})\.(?P<digest>[0-9a-f]{16})\.(?P<extension>[a-z]+)"
)


def digest(data: bytes) -> str:
    """Compute the digest that a file's name carries: the first 16 hexadecimal digits of the SHA-256 of its bytes."""
    return digest_of([data])


def digest_of(blocks: Iterable[bytes]) -> str:
    """Compute the digest of a file that is read in blocks."""
    found = hashlib.sha256()
    for block in blocks:
        found.update(block)
    return found.hexdigest()[:16]


@dataclass(frozen=True)
class FileName:
    """The name of a file: ``<table>-<part>-<order>.<digest>.<extension>``, without the part where a table has one file.

    A file is never changed: what replaces it has a higher ``order``. Of the files of one ``kind``, the newest counts, and the
    others are left over from a writer that was killed before it deleted them.

    Attributes:
        table: what the file holds, such as ``trial`` or ``evaluations``.
        part: the part of the table; "" where there are no parts.
        order: a count of the versions, or the epoch of weights and states.
        digest: see :func:`digest`.
        extension: without the dot.
    """

    table: str
    part: str
    order: int
    digest: str
    extension: str

    @classmethod
    def of(cls, table: str, part: str, order: int, data: bytes, extension: str) -> Self:
        """Make the name of a file with these bytes."""
        return cls(table, part, order, digest(data), extension)

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read a name; None for other files, such as one that is still being written."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        return cls(found["table"], found["part"] or "", int(found["order"]), found["digest"], found["extension"])

    @property
    def kind(self) -> tuple[str, str]:
        """The table and the part: of several files of one kind, the newest counts."""
        return self.table, self.part

    def __str__(self) -> str:
        part = f"-{self.part}" if self.part else ""
        return f"{self.table}{part}-{self.order:06d}.{self.digest}.{self.extension}"


def newest(names: Iterable[FileName], *tables: str) -> list[FileName]:
    """Choose the newest file of each kind among those of these tables, in the order of their parts.

    Two writers may have written versions of the same order at once; then the digest decides, for every reader alike.
    """
    chosen: dict[tuple[str, str], FileName] = {}
    for name in sorted((name for name in names if name.table in tables), key=lambda name: (name.order, name.digest)):
        chosen[name.kind] = name
    return [chosen[kind] for kind in sorted(chosen)]


def newest_weights(names: Iterable[FileName]) -> list[FileName]:
    """Choose the newest file of weights of each epoch, in the epochs' order: of weights, several epochs count."""
    by_epoch: dict[int, list[FileName]] = {}
    for name in names:
        if name.table == "weights":
            by_epoch.setdefault(name.order, []).append(name)
    return [newest(by_epoch[epoch], "weights")[0] for epoch in sorted(by_epoch)]
