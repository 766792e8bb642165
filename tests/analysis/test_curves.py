"""Accuracy by steps, restarts and eps, compared with values computed by hand and by counting."""

import numpy as np
import pytest

from analysis.curves import accuracy_by_eps, accuracy_by_iterations, accuracy_by_restarts, normalised_auc
from analysis.record.schema import NEVER

BROKEN = np.array([0, 0, 2, 3, 5, 6, NEVER, NEVER, NEVER, NEVER], np.uint16)


def test_accuracy_falls_with_every_step_that_breaks() -> None:
    assert accuracy_by_iterations(BROKEN, 6) == pytest.approx([0.8, 0.8, 0.7, 0.6, 0.6, 0.5, 0.4])


def test_a_shorter_attack_is_the_beginning_of_a_longer_one() -> None:
    broken = np.random.default_rng(0).integers(0, 40, 500).astype(np.uint16)
    broken[broken > 30] = NEVER
    found = accuracy_by_iterations(broken, 30)
    assert len(found) == 31
    assert found == pytest.approx([np.mean(broken > k) for k in range(31)])
    assert accuracy_by_restarts(broken, 10, 3) == pytest.approx([np.mean(broken > k) for k in (10, 20, 30)])


def test_accuracy_stays_where_nothing_is_broken() -> None:
    assert accuracy_by_iterations(np.full(3, NEVER, np.uint16), 2).tolist() == [1, 1, 1]


def test_more_steps_than_there_were_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"^iterations = 5: an example was broken after 6$"):
        accuracy_by_iterations(BROKEN, 5)
    with pytest.raises(ValueError, match="no example"):
        accuracy_by_iterations(BROKEN[:0], 5)


def test_accuracy_falls_to_zero_with_eps() -> None:
    distance = np.array([0, 0.1, 0.1, 0.3, np.inf], np.float32)
    eps = [0, 0.05, float(np.float32(0.1)), 0.2, 0.5, 1e9]
    assert accuracy_by_eps(distance, eps) == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2, 0.2])
    assert accuracy_by_eps(distance[:4], [0.5]).tolist() == [0]
    for bad in ([], [0.1, np.nan]):
        with pytest.raises(ValueError, match="distances must be numbers"):
            accuracy_by_eps(bad, eps)


def test_the_area_is_a_share_of_the_largest_possible() -> None:
    assert normalised_auc([0, 1, 4], [1, 1, 1]) == pytest.approx(1)
    assert normalised_auc([0, 2], [1, 0]) == pytest.approx(0.5)
    assert normalised_auc([0, 1, 4], [1, 0.5, 0]) == pytest.approx((0.75 + 0.75) / 4)
    # On a fine grid it is the mean of the distances, cut at the largest eps.
    distance = np.random.default_rng(0).gamma(2.0, 0.1, 2000)
    eps = np.linspace(0, 0.5, 5001)
    assert normalised_auc(eps, accuracy_by_eps(distance, eps)) == pytest.approx(
        np.minimum(distance, 0.5).mean() / 0.5, abs=1e-4
    )


@pytest.mark.parametrize(
    ("eps", "accuracy", "message"),
    [([0], [1], "eps: must be two"), ([0, 0], [1, 1], "that rise"), ([0, 1], [1], "for each of the 2 eps")],
)
def test_an_invalid_curve_is_an_error(eps: list[float], accuracy: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        normalised_auc(eps, accuracy)
