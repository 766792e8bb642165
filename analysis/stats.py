"""Statistics over beta_atk, classes and seeds: arrays in, named tuples out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class OverBeta(NamedTuple):
    """Accuracy under an attack with K values of beta_atk, reduced in three ways; fractions in [0, 1].

    ``each``: (K,), one for each beta_atk. ``minimum``: the lowest of ``each``, as in the CIFS paper.
    ``per_sample``: share of the examples that are right under every beta_atk; never above ``minimum``.
    """

    each: Floats
    minimum: float
    per_sample: float


def over_beta(ranks: NDArray[np.integer], top_k: int = 1) -> OverBeta:
    """Reduce ``ranks`` (K, N) over beta_atk: how many classes score at least as high as the true one; below top_k is right."""
    right = ranks < top_k
    each = right.mean(axis=1)
    return OverBeta(each, float(each.min()), float(right.all(axis=0).mean()))


def top_k(ranks: NDArray[np.integer], ks: NDArray[np.integer]) -> Floats:
    """Compute top-k accuracy for each of ``ks`` (K,), each >= 1: (K,), fractions in [0, 1].

    ``ranks``: (N,), how many classes score at least as high as the true one (0 is right).
    """
    shares: Floats = (ranks < ks[:, None]).mean(axis=1)
    return shares


class OverSeeds(NamedTuple):
    """Summary of a row over its seeds.

    ``mean``, ``std``: (C,), one for each column; ``std`` is the sample standard deviation, NaN for one seed.
    ``best``, ``worst``: index of the seed with the highest and the lowest accuracy under its strongest attack.
    """

    mean: Floats
    std: Floats
    best: int
    worst: int


def over_seeds(values: Floats, seeds: NDArray[np.integer], adversarial: NDArray[np.bool_]) -> OverSeeds:
    """Summarise ``values`` (S, C), accuracies of S >= 1 seeds in C >= 1 columns.

    ``seeds``: (S,). ``adversarial``: (C,), which columns are attacks. Best and worst are one seed each for all columns, so that
    they name a network that exists. A seed is ranked by its lowest adversarial column (the first column where none is
    adversarial), then by the mean of all columns; of equal seeds the lowest number is the best, the highest the worst.
    """
    score = values[:, adversarial].min(axis=1) if adversarial.any() else values[:, 0]
    std = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    mean = values.mean(axis=1)
    best, worst = (int(np.lexsort((-sign * seeds, sign * mean, sign * score))[0]) for sign in (-1, 1))
    return OverSeeds(values.mean(axis=0), std, best, worst)
