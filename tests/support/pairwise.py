"""A few cases of a product in which every two values meet, in place of all: what fails, fails for one value or for two."""

from collections.abc import Hashable, Sequence
from itertools import combinations

import pytest

Case = tuple[Hashable, ...]


def cover(cases: Sequence[Case], together: int = 2) -> list[Case]:
    """Choose greedily, in the order of ``cases``, until all values that stand in one of them are in one chosen.

    ``together``: how many values are to stand in one case: 2 for every pair, 1 for every value.
    """
    left = {values for case in cases for values in _of(case, together)}
    chosen = []
    while left:
        best = max(cases, key=lambda case: len(left & _of(case, together)))  # the first of equals
        left -= _of(best, together)
        chosen.append(best)
    return chosen


def pairwise(names: str, cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Parametrise a test by all ``cases``; those beyond the cover are slow, so that `make test-all` alone runs them."""
    chosen = set(cover(cases))
    marked = [pytest.param(*case, marks=() if case in chosen else pytest.mark.slow) for case in cases]
    return pytest.mark.parametrize(names.split(", "), marked)


def _of(case: Case, together: int) -> set[tuple[tuple[int, Hashable], ...]]:
    return set(combinations(enumerate(case), together))
