"""Statistics over beta_atk, classes and seeds, compared with numbers computed by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.stats import Floats, OverSeeds, over_beta, over_seeds, top_k


def test_three_ways_over_beta() -> None:
    # Attack 0 leaves examples 0, 1, 2 right, attack 1 leaves 2, 3: both leave only one.
    got = over_beta(np.array([[0, 0, 0, 4], [1, 2, 0, 0]], dtype=np.uint16))
    assert got.each.tolist() == [0.75, 0.5]
    assert got.minimum == 0.5
    assert got.per_sample == 0.25


def test_one_beta_makes_all_ways_equal() -> None:
    got = over_beta(np.array([[0, 1, 0, 9, 0]]))
    assert got.each.tolist() == [got.minimum] == [got.per_sample] == [0.6]


def whole(values: Floats, seeds: NDArray[np.integer], adversarial: NDArray[np.bool_]) -> OverSeeds:
    """Summarise seeds that have every column."""
    return over_seeds(values, np.ones(values.shape, bool), seeds, adversarial)


def test_mean_and_sample_deviation() -> None:
    got = whole(np.array([[0.9, 0.4], [0.7, 0.6], [0.8, 0.5]]), np.array([0, 1, 2]), np.array([False, True]))
    assert got.mean == pytest.approx([0.8, 0.5])
    assert got.std == pytest.approx([0.1, 0.1])  # sqrt((0.1^2 + 0.1^2) / 2)


def test_one_seed_has_no_deviation() -> None:
    got = whole(np.array([[0.9, 0.4]]), np.array([7]), np.array([False, True]))
    assert got.mean.tolist() == [0.9, 0.4]
    assert all(math.isnan(std) for std in got.std)
    assert (got.best, got.worst) == (0, 0)


def test_a_seed_is_as_good_as_its_strongest_attack_leaves_it() -> None:
    # Seed 0 has the best natural and FGSM columns, but 0.2 is its worst; seed 1 is never below 0.3.
    values = np.array([[0.95, 0.6, 0.2], [0.7, 0.3, 0.3]])
    got = whole(values, np.array([0, 1]), np.array([False, True, True]))
    assert (got.best, got.worst) == (1, 0)


def test_without_attacks_the_first_column_judges() -> None:
    got = whole(np.array([[0.5, 0.9], [0.6, 0.1]]), np.array([0, 1]), np.array([False, False]))
    assert (got.best, got.worst) == (1, 0)


def test_seeds_with_the_same_strongest_attack_are_ranked_by_the_other_columns() -> None:
    got = whole(np.array([[0.9, 0.5, 0.4], [0.9, 0.4, 0.6]]), np.array([0, 1]), np.array([False, True, True]))
    assert (got.best, got.worst) == (1, 0)


def test_of_equals_the_lowest_seed_is_taken() -> None:
    got = whole(np.array([[0.4], [0.4], [0.4]]), np.array([5, 2, 3]), np.array([True]))
    assert (got.best, got.worst) == (1, 0)


def test_each_column_is_over_the_seeds_that_have_it() -> None:
    nan = math.nan
    values = np.array([[0.9, 0.4, nan], [0.7, nan, nan], [0.8, 0.6, nan]])
    got = over_seeds(values, ~np.isnan(values), np.array([0, 1, 2]), np.array([False, True, True]))
    assert got.mean[:2] == pytest.approx([0.8, 0.5])
    assert got.std[:2] == pytest.approx([0.1, 0.02**0.5])
    assert math.isnan(got.mean[2])
    assert math.isnan(got.std[2])


def test_a_seed_that_lacks_an_attack_is_neither_best_nor_worst() -> None:
    """Seed 1 would be the best, were it not for the attack that it lacks; what no seed has is asked of none."""
    values = np.array([[0.9, 0.4, 0.3, 0], [0.9, 0.8, 0, 0], [0.9, 0.6, 0.5, 0]])
    there = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0]], bool)
    got = over_seeds(values, there, np.array([0, 1, 2]), np.array([False, True, True, True]))
    assert (got.best, got.worst, got.ranked) == (2, 0, (0, 2))


def test_of_several_seeds_two_must_be_comparable() -> None:
    adversarial, seeds = np.array([True, True]), np.array([0, 1])
    for there in ([[1, 1], [1, 0]], [[1, 0], [0, 1]], [[0, 0], [0, 0]]):
        got = over_seeds(np.full((2, 2), 0.5), np.array(there, bool), seeds, adversarial)
        assert (got.best, got.worst) == (None, None)


def test_a_number_that_is_nan_is_there() -> None:
    got = over_seeds(np.array([[math.nan], [0.5]]), np.ones((2, 1), bool), np.array([0, 1]), np.array([False]))
    assert math.isnan(got.mean[0])


def test_top_k_counts_ranks_below_k() -> None:
    ranks = np.array([0, 0, 1, 2, 9], dtype=np.uint16)
    assert top_k(ranks, np.array([1, 2, 3, 9, 10])).tolist() == [0.4, 0.6, 0.8, 0.8, 1.0]
