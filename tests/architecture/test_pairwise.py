"""The pairwise cover of a product: every pair of values occurs in it, and it is far smaller than the product."""

from itertools import combinations, product

from tests.support.pairwise import cover


def test_every_pair_of_values_occurs_in_a_cover() -> None:
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


def test_every_value_occurs_in_a_cover_of_single_values() -> None:
    cases = list(product("abcdef", range(8), "xyz"))
    chosen = cover(cases, together=1)
    assert [set(values) for values in zip(*chosen, strict=True)] == [set(values) for values in zip(*cases, strict=True)]
    assert len(chosen) == 8
