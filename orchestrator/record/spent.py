"""How long devices worked on trials."""

from collections import Counter

import numpy as np
import pyarrow as pa

from analysis.record.files import RecordFiles
from analysis.record.rows import rows
from analysis.record.schema import EVALUATIONS, MEASURES, TRIAL

_TABLES = {
    table: pa.schema([schema.field(name) for name in ("trial", "seconds")])
    for table, schema in (("trial", TRIAL), ("evaluations", EVALUATIONS), ("measures", MEASURES))
}


def seconds(files: RecordFiles) -> Counter[str]:
    """Add up the seconds of training, evaluations and measurements of each trial, by its key.

    What one run computed is in several rows, all of which have the run's seconds; they count once.

    Raises:
        BrokenRecordError: a file is damaged.
    """
    added: Counter[str] = Counter()
    for table in filter(len, rows(files, files.trials(), _TABLES).values()):
        encoded = table["trial"].combine_chunks().dictionary_encode()
        trials, places = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        spent = np.nan_to_num(table["seconds"].to_numpy())
        order = np.lexsort((spent, places))
        places, spent = places[order], spent[order]
        spent[1:][(places[1:] == places[:-1]) & (spent[1:] == spent[:-1])] = 0.0
        added.update(dict(zip(trials, np.bincount(places, weights=spent).tolist(), strict=True)))
    return added
