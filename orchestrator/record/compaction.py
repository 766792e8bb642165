"""Compaction: rows of many trials' files in few segments, so that ten thousand trials are read as fast as a few."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from analysis.record.files import concurrently
from analysis.record.names import FileName, newest
from analysis.record.rows import FILE, read_segment, segments
from analysis.record.schema import EVALUATIONS, SEGMENTS_FOLDER, TRIAL
from orchestrator.record.files import Files, packed

#: How many files a segment covers.
FILES = 100

#: With more files outside of segments, a storage is compacted at the end of a sweep.
LOOSE = 200

#: Tables of which there are segments. Measures have none: their arrays may be large, and few studies have any.
_TABLES: Mapping[str, pa.Schema] = {"trial": TRIAL, "evaluations": EVALUATIONS}


@dataclass(frozen=True)
class Compacted:
    """What a compaction did: how many segments it wrote and deleted."""

    written: int
    deleted: int


def compact(files: Files, least: int = 1) -> Compacted:
    """Write segments of the files that none covers yet, together with those of segments that are half empty.

    Several processes may compact at once: a segment is a file of its own, and rows that two of them have count once.

    Args:
        files: the storage.
        least: with fewer files outside of segments, nothing is done.

    Raises:
        BrokenRecordError: a file is damaged.
    """
    live = {f"{trial}/{name}": (trial, name) for trial, names in files.trials().items() for name in newest(names, *_TABLES)}
    before = segments(files)
    found = concurrently(lambda name: _covered(files, name) & live.keys(), before)
    if len(live.keys() - set[str]().union(*found)) < least:
        return Compacted(0, 0)
    full = {name: covered for name, covered in zip(before, found, strict=True) if 2 * len(covered) >= FILES}
    left = live.keys() - set[str]().union(*full.values())
    written = set[FileName]()
    for table in _TABLES:
        paths = sorted(path for path in left if live[path][1].table == table)
        for begin in range(0, len(paths), FILES):
            written.add(_write(files, table, [live[path] for path in paths[begin : begin + FILES]]))
    emptied = [name for name in before if name not in full and name not in written]
    for name in emptied:
        files.delete(f"{SEGMENTS_FOLDER}/{name}")
    return Compacted(len(written - set(before)), len(emptied))


def _covered(files: Files, name: FileName) -> set[str]:
    """Return the files that a segment covers, as ``<trial>/<name>``; none where it is damaged."""
    segment = read_segment(files, name, pa.schema([]))
    return set() if segment is None else set(segment[FILE].unique().to_pylist())


def _write(files: Files, table: str, parts: Sequence[tuple[str, FileName]]) -> FileName:
    """Write the segment of these files; one that was replaced meanwhile is left out."""
    schema = _TABLES[table]

    def read(part: tuple[str, FileName]) -> pa.Table:
        trial, name = part
        try:
            found = files.read_table(trial, name, schema.names)
        except FileNotFoundError:
            return schema.empty_table().append_column(FILE, pa.array([], pa.string()))
        return found.append_column(FILE, pa.array([f"{trial}/{name}"] * len(found)))

    data = packed(pa.concat_tables(concurrently(read, parts)))
    segment = FileName.of(table, "", 1, data, "parquet")
    files.write(f"{SEGMENTS_FOLDER}/{segment}", data)
    return segment
