"""A few cases of a product in which every two values meet, in place of all: what fails, fails for one value or for two."""

from collections.abc import Hashable, Sequence
from itertools import combinations

import pytest

Case = tuple[Hashable, ...]


def cover(cases: Sequence[Case]) -> list[Case]:
    """Choose greedily, in the order of ``cases``, until every pair of values that stands in one of them is in one chosen."""
    left = {pair for case in cases for pair in _pairs(case)}
    chosen = []
    while left:
        best = max(cases, key=lambda case: len(left & _pairs(case)))  # the first of equals
        left -= _pairs(best)
        chosen.append(best)
    return chosen


def pairwise(names: str, cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Parametrise a test by all ``cases``; those beyond the cover are slow, so that `make test-all` alone runs them."""
    chosen = set(cover(cases))
    marked = [pytest.param(*case, marks=() if case in chosen else pytest.mark.slow) for case in cases]
    return pytest.mark.parametrize(names.split(", "), marked)


def _pairs(case: Case) -> set[tuple[tuple[int, Hashable], ...]]:
    return set(combinations(enumerate(case), 2))
