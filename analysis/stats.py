"""The numbers behind a table: arrays in, named tuples out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class OverBeta(NamedTuple):
    """Accuracy under an attack that was run with K values of beta_atk, three ways; fractions in [0, 1].

    ``each``: (K,), under each of them. ``minimum``: the lowest of these (how the CIFS paper counts).
    ``per_sample``: share of the examples that are right under all of them; never above ``minimum``.
    """

    each: Floats
    minimum: float
    per_sample: float


def over_beta(ranks: NDArray[np.integer], top_k: int = 1) -> OverBeta:
    """Accuracies from ``ranks``: (K, N), how many classes score at least as high as the true one; fewer than k is right."""
    right = ranks < top_k
    each = right.mean(axis=1)
    return OverBeta(each, float(each.min()), float(right.all(axis=0).mean()))


def top_k(ranks: NDArray[np.integer], ks: NDArray[np.integer]) -> Floats:
    """Top-k accuracy for each of ``ks`` (K,), 1 or more: (K,), fractions in [0, 1], never falling with k.

    ``ranks``: (N,), how many classes score at least as high as the true one (0 is right).
    """
    shares: Floats = (ranks < ks[:, None]).mean(axis=1)
    return shares


class OverSeeds(NamedTuple):
    """What the seeds of a row have in common and where they end.

    ``mean``, ``std``: (C,), a value a column; the sample standard deviation, NaN for one seed.
    ``best``, ``worst``: position of the seed with the highest and lowest accuracy under its strongest attack.
    """

    mean: Floats
    std: Floats
    best: int
    worst: int


def over_seeds(values: Floats, seeds: NDArray[np.integer], adversarial: NDArray[np.bool_]) -> OverSeeds:
    """Summary of ``values``: (S, C) accuracies of S >= 1 seeds in C >= 1 columns.

    ``seeds``: (S,). ``adversarial``: (C,), which columns are attacks. Best and worst are a seed each, for all columns at
    once, so that what they name is a model that exists. A seed is judged by its lowest adversarial column (the first column
    where none is adversarial), then by the mean of all columns; of equals the lowest seed is the best, the highest the worst.
    """
    score = values[:, adversarial].min(axis=1) if adversarial.any() else values[:, 0]
    std = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    mean = values.mean(axis=1)
    best, worst = (int(np.lexsort((-sign * seeds, sign * mean, sign * score))[0]) for sign in (-1, 1))
    return OverSeeds(values.mean(axis=0), std, best, worst)
