"""What evaluations did to single examples: files that are opened only where single examples count."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.record.files import BrokenRecordError, RecordFiles
from analysis.record.names import FileName, newest

#: Files of outcomes that are kept in memory: a table goes from trial to trial.
KEPT = 8


class Outcome(NamedTuple):
    """What one evaluation did to each example: the columns of :data:`analysis.record.schema.OUTCOMES`, each (N,) or None."""

    ranks: NDArray[np.integer]
    broken: NDArray[np.integer] | None
    distance: NDArray[np.floating] | None
    last_ranks: NDArray[np.integer] | None

    def counted(self, last: bool) -> NDArray[np.integer]:
        """Return the ranks by the ``last`` iterate, where they are known, or by any."""
        return self.last_ranks if last and self.last_ranks is not None else self.ranks


class Outcomes:
    """Reads the outcomes of evaluations from a storage; the last few files stay in memory."""

    def __init__(self, files: RecordFiles) -> None:
        self._files = files
        self._part = lru_cache(KEPT)(self._read_part)

    def of(self, row: Any) -> Outcome:
        """Read what an evaluation did to each example.

        ``row``: its row in the record's frame of evaluations: a Series or mapping, or a tuple of ``itertuples()``.

        Raises:
            BrokenRecordError: the record does not hold it, or its accuracy is not that of its ranks.
        """
        if isinstance(row, pd.Series | Mapping):  # the attribute `head` of a Series is a method
            row = SimpleNamespace(**row)
        where = f"trial {row.trial}, {row.checkpoint} checkpoint, attack {row.attack}, head {row.head}"
        found = self._part(row.trial, row.part).get((row.evaluation, row.head))
        if found is None:
            raise BrokenRecordError(f"{where}: the outcomes of single examples are missing in part {row.part}")
        if len(found.ranks) == 0 or not np.isclose(np.mean(found.ranks == 0), row.accuracy, rtol=0, atol=1e-6):
            raise BrokenRecordError(f"{where}: accuracy {row.accuracy} is not that of its {len(found.ranks)} ranks")
        return found

    def _read_part(self, trial: str, part: str) -> dict[tuple[str, str], Outcome]:
        def read(names: Sequence[FileName]) -> dict[tuple[str, str], Outcome]:
            tables = [self._files.read_table(trial, name) for name in newest(names, "outcomes") if name.part == part]
            frames = [table.to_pandas() for table in tables]
            return {
                (row.evaluation, row.head): Outcome(row.ranks, row.broken, row.distance, row.last_ranks)
                for frame in frames
                for row in frame.itertuples()
            }

        return self._files.consistently(trial, self._files.trials([trial]).get(trial, []), read)
