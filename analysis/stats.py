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

    ``mean``, ``std``: (C,), one for each column, over the seeds that have its number: ``mean`` is NaN where none has, ``std``,
    the sample standard deviation, where fewer than two have. ``best``, ``worst``: index of the seed with the highest and the
    lowest accuracy under its strongest attack; None where of several seeds fewer than two can be ranked. ``ranked``: indices of
    the seeds among which they were chosen.
    """

    mean: Floats
    std: Floats
    best: int | None
    worst: int | None
    ranked: tuple[int, ...]


def over_seeds(
    values: Floats, there: NDArray[np.bool_], seeds: NDArray[np.integer], adversarial: NDArray[np.bool_]
) -> OverSeeds:
    """Summarise ``values`` (S, C), accuracies of S >= 1 seeds in C >= 1 columns.

    ``there``: (S, C), which of the values exist. ``seeds``: (S,). ``adversarial``: (C,), which columns are attacks.

    Best and worst are one seed each for all columns, so that they name a network that exists. A seed is ranked if it has every
    adversarial column that any seed has (where none has any: the first column that any has), because a seed that lacks an
    attack would seem more robust. It is ranked by its lowest such column, then by the mean of the columns that all ranked seeds
    have; of equal seeds the lowest number is the best, the highest the worst.
    """
    found = np.ma.array(values, mask=~there)
    mean, std = (np.ma.filled(of, np.nan) for of in (found.mean(axis=0), found.std(axis=0, ddof=1)))
    filled = np.flatnonzero(there.any(axis=0))
    judging = filled[adversarial[filled]] if adversarial[filled].any() else filled[:1]
    ranked = np.flatnonzero(there[:, judging].all(axis=1)) if len(judging) else np.array([], np.intp)
    if not len(ranked) or (len(ranked) == 1 and len(seeds) > 1):
        return OverSeeds(mean, std, None, None, tuple(ranked.tolist()))
    shared = there[ranked].all(axis=0)
    score, means = values[np.ix_(ranked, judging)].min(axis=1), values[ranked][:, shared].mean(axis=1)
    best, worst = (int(ranked[np.lexsort((-sign * seeds[ranked], sign * means, sign * score))[0]]) for sign in (-1, 1))
    return OverSeeds(mean, std, best, worst, tuple(ranked.tolist()))
