"""Statistics over beta_atk, classes and seeds, compared with numbers computed by hand."""

import math

import numpy as np
import pytest

from analysis.stats import over_beta, over_seeds, top_k


def test_three_ways_over_beta() -> None:
    # Attack 0 leaves examples 0, 1, 2 right, attack 1 leaves 2, 3: both leave only one.
    got = over_beta(np.array([[0, 0, 0, 4], [1, 2, 0, 0]], dtype=np.uint16))
    assert got.each.tolist() == [0.75, 0.5]
    assert got.minimum == 0.5
    assert got.per_sample == 0.25


def test_one_beta_makes_all_ways_equal() -> None:
    got = over_beta(np.array([[0, 1, 0, 9, 0]]))
    assert got.each.tolist() == [got.minimum] == [got.per_sample] == [0.6]


def test_mean_and_sample_deviation() -> None:
    got = over_seeds(np.array([[0.9, 0.4], [0.7, 0.6], [0.8, 0.5]]), np.array([0, 1, 2]), np.array([False, True]))
    assert got.mean == pytest.approx([0.8, 0.5])
    assert got.std == pytest.approx([0.1, 0.1])  # sqrt((0.1^2 + 0.1^2) / 2)


def test_one_seed_has_no_deviation() -> None:
    got = over_seeds(np.array([[0.9, 0.4]]), np.array([7]), np.array([False, True]))
    assert got.mean.tolist() == [0.9, 0.4]
    assert all(math.isnan(std) for std in got.std)
    assert (got.best, got.worst) == (0, 0)


def test_a_seed_is_as_good_as_its_strongest_attack_leaves_it() -> None:
    # Seed 0 has the best natural and FGSM columns, but 0.2 is its worst; seed 1 is never below 0.3.
    values = np.array([[0.95, 0.6, 0.2], [0.7, 0.3, 0.3]])
    got = over_seeds(values, np.array([0, 1]), np.array([False, True, True]))
    assert (got.best, got.worst) == (1, 0)


def test_without_attacks_the_first_column_judges() -> None:
    got = over_seeds(np.array([[0.5, 0.9], [0.6, 0.1]]), np.array([0, 1]), np.array([False, False]))
    assert (got.best, got.worst) == (1, 0)


def test_seeds_with_the_same_strongest_attack_are_ranked_by_the_other_columns() -> None:
    got = over_seeds(np.array([[0.9, 0.5, 0.4], [0.9, 0.4, 0.6]]), np.array([0, 1]), np.array([False, True, True]))
    assert (got.best, got.worst) == (1, 0)


def test_of_equals_the_lowest_seed_is_taken() -> None:
    got = over_seeds(np.array([[0.4], [0.4], [0.4]]), np.array([5, 2, 3]), np.array([True]))
    assert (got.best, got.worst) == (1, 0)


def test_top_k_counts_ranks_below_k() -> None:
    ranks = np.array([0, 0, 1, 2, 9], dtype=np.uint16)
    assert top_k(ranks, np.array([1, 2, 3, 9, 10])).tolist() == [0.4, 0.6, 0.8, 0.8, 1.0]
