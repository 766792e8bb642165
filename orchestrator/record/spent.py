"""How long devices worked on trials."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from analysis.record.columns import codes, numbers


def seconds(tables: Mapping[str, pa.Table]) -> Counter[str]:
    """Add up the seconds of training, evaluations and measurements of each trial, by its key.

    What one run computed is in several rows, all of which have the run's seconds; they count once. ``tables``: with the columns
    of :data:`~orchestrator.record.recorded.INDEXED`.
    """
    added: Counter[str] = Counter()
    for table in filter(len, (tables["trial"], tables["evaluations"], tables["measures"])):
        trial = codes(table, "trial")
        trials, places = trial.dictionary.to_pylist(), trial.of
        spent = np.nan_to_num(numbers(table, "seconds"))
        order = np.lexsort((spent, places))
        places, spent = places[order], spent[order]
        spent[1:][(places[1:] == places[:-1]) & (spent[1:] == spent[:-1])] = 0.0
        added.update(dict(zip(trials, np.bincount(places, weights=spent).tolist(), strict=True)))
    return added
