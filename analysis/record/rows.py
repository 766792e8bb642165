"""Rows of the record's tables: from segments where these cover a trial's file, and from the file itself elsewhere.

A segment holds the rows of many trials' files, and in the column :data:`FILE` of each row which file it is from. Since no file
is ever changed, a row of a segment counts as long as the newest file of its kind in its trial's folder is the one that it is
from. So a segment that is lost or old costs time, and never a number: the trials' folders alone decide what a table shows.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.record.files import BrokenRecordError, RecordFiles, concurrently
from analysis.record.names import FileName, digest, newest
from analysis.record.schema import SEGMENTS_FOLDER

#: The column of a segment's rows that says from which file each is, as ``<trial>/<name>``.
FILE = "file"

#: Of so few trials, the own files are read sooner than segments.
FEW = 8

#: The trials' files by the trials' keys, as :meth:`.RecordFiles.trials` lists them.
Listed = Mapping[str, Sequence[FileName]]

#: The columns to read, by table.
Schemas = Mapping[str, pa.Schema]


def rows(files: RecordFiles, listed: Listed, schemas: Schemas) -> dict[str, pa.Table]:
    """Read tables of these trials.

    Args:
        files: the storage.
        listed: the trials' files.
        schemas: the columns to read, by table.

    Returns:
        by table the rows of the newest file of every kind, in no particular order, with the columns of its schema.

    Raises:
        BrokenRecordError: a file is damaged. A damaged segment is no error: its rows are read from the trials' files.
    """
    live = {f"{trial}/{name}" for trial, names in listed.items() for name in newest(names, *schemas)}
    found = {table: [pa.Table.from_batches([], schema)] for table, schema in schemas.items()}  # without loading pandas
    covered: set[str] = set()
    if len(listed) > FEW:
        for name, segment in _segments(files, schemas):
            column = segment[FILE].combine_chunks()
            paths = column.dictionary.to_pylist()
            counts = pa.array([path in live and path not in covered for path in paths], pa.bool_())
            found[name.table].append(segment.filter(counts.take(column.indices)))
            covered.update(live.intersection(paths))
    left = sorted({path.partition("/")[0] for path in live - covered})
    for part in concurrently(lambda trial: _from_trial(files, trial, listed[trial], schemas, covered), left):
        for table, tables in part.items():
            found[table] += tables
    return {table: _concat(tables, schemas[table]) for table, tables in found.items()}


def segments(files: RecordFiles) -> list[FileName]:
    """List the segments of a storage."""
    names = (FileName.parse(info.base_name) for info in files.entries(SEGMENTS_FOLDER))
    return [name for name in names if name]


def read_segment(files: RecordFiles, name: FileName, schema: pa.Schema) -> pa.Table | None:
    """Read the columns of a schema, and :data:`FILE`; None where the segment is damaged, or was deleted by a compaction."""
    try:
        data = files.read(f"{SEGMENTS_FOLDER}/{name}")
    except FileNotFoundError:
        return None
    if digest(data) != name.digest:
        return None
    dictionaries = [FILE, *(field.name for field in schema if pa.types.is_dictionary(field.type))]
    return pq.ParquetFile(pa.BufferReader(data), read_dictionary=dictionaries).read([*schema.names, FILE], use_threads=False)


def _segments(files: RecordFiles, schemas: Schemas) -> list[tuple[FileName, pa.Table]]:
    """Read the segments of these tables."""
    names = [name for name in segments(files) if name.table in schemas]
    read = concurrently(lambda name: read_segment(files, name, schemas[name.table]), names)
    return [(name, segment) for name, segment in zip(names, read, strict=True) if segment is not None]


def _from_trial(
    files: RecordFiles, trial: str, names: Sequence[FileName], schemas: Schemas, covered: set[str]
) -> dict[str, list[pa.Table]]:
    """Read those of a trial's files that no segment covers."""
    kinds = {name.kind for name in newest(names, *schemas) if f"{trial}/{name}" in covered}

    def read(names: Sequence[FileName]) -> dict[str, list[pa.Table]]:
        return {
            table: [files.read_table(trial, name, schema.names) for name in newest(names, table) if name.kind not in kinds]
            for table, schema in schemas.items()
        }

    return files.consistently(trial, names, read)


def _concat(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """Concatenate tables, with the columns of ``schema``."""
    try:
        whole = pa.concat_tables([table.select(schema.names).cast(schema) for table in tables])
        return whole.unify_dictionaries().combine_chunks()
    except pa.ArrowInvalid as error:
        raise BrokenRecordError(f"columns of other types than the record's: {error}") from error
