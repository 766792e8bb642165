"""Columns of tables in memory: texts that repeat are kept once, with a code for each row."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_CODED = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, eq=False)
class Codes:
    """A column of texts: for each row the place of its text in :attr:`texts`, each of which occurs there once.

    ``of``: (N,). Of a missing text the place is the last, and the text there None. ``dictionary``: the texts but for that.
    """

    of: NDArray[np.int64]
    dictionary: pa.Array

    @cached_property
    def texts(self) -> list[str | None]:
        """The texts that occur, and None."""
        return [*self.dictionary.to_pylist(), None]

    def __len__(self) -> int:
        """How many texts there are, None included."""
        return len(self.dictionary) + 1


def coded(schema: pa.Schema) -> pa.Schema:
    """Return a schema with a dictionary in place of each column of texts."""
    return pa.schema([field.with_type(_CODED) if pa.types.is_string(field.type) else field for field in schema])


def codes(table: pa.Table, name: str) -> Codes:
    """Code a column of texts."""
    column = table[name]
    if column.num_chunks != 1 or column.type != _CODED:
        column = column.cast(_CODED).unify_dictionaries()
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return Codes(
        whole.indices.fill_null(len(whole.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64), whole.dictionary
    )


def texts(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column of texts as an array of str, or None where one is missing."""
    found = codes(table, name)
    return np.array(found.texts, object)[found.of]


def numbers(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column of numbers or flags; nan where one is missing."""
    return np.asarray(table[name].combine_chunks().to_numpy(zero_copy_only=False))


def combined(*columns: Codes) -> NDArray[np.int64]:
    """Return one code for each combination of several columns' texts."""
    found = np.zeros(len(columns[0].of), np.int64)
    for column in columns:
        found = found * len(column) + column.of
    return found


def each_once(table: pa.Table, *names: str) -> pa.Table:
    """Keep of the rows that have the same texts in some columns the first."""
    first = np.unique(combined(*(codes(table, name) for name in names)), return_index=True)[1]
    return table if len(first) == len(table) else table.take(np.sort(first))
