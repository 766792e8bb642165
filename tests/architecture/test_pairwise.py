"""The cover that stands for a product: every two values meet in it, and it is far smaller."""

from itertools import combinations, product

from tests.support.pairwise import cover


def test_every_two_values_meet_in_a_cover() -> None:
    cases = [case for case in product("abcdef", range(8), "xyz", (True, False)) if case[:2] != ("a", 0)]
    chosen = cover(cases)
    assert set(chosen) <= set(cases)

    def pairs(some: list[tuple[object, ...]]) -> set[object]:
        return {pair for case in some for pair in combinations(enumerate(case), 2)}

    assert pairs(chosen) == pairs(cases)
    assert len(chosen) < len(cases) / 4


def test_two_axes_have_no_smaller_cover() -> None:
    cases = list(product("ab", "xyz"))
    assert sorted(cover(cases)) == cases
