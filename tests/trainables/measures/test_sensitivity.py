import numpy as np
import pytest

from tests.support.measured_network import attacked, outputs, subject
from trainables import config
from trainables.measures import run_measure
from trainables.measures.sensitivity import relative_distance

FGSM = config.FGSM(eps=0.1, beta_atk="0")


def test_norms_summed_one_by_one():
    generator = np.random.default_rng(0)
    E, E_adv = generator.normal(size=(2, 9, 5))
    for found, e, e_adv in zip(relative_distance(E, E_adv), E, E_adv, strict=True):
        moved = sum((a - b) ** 2 for a, b in zip(e, e_adv, strict=True)) ** 0.5
        assert found == pytest.approx(moved / sum(a**2 for a in e) ** 0.5)


def test_a_shift_of_a_tenth_is_a_tenth():
    E = np.random.default_rng(0).normal(size=(9, 5))
    np.testing.assert_allclose(relative_distance(E, 1.1 * E), 0.1)
    np.testing.assert_allclose(relative_distance(1e-30 * E, 1.1e-30 * E), 0.1)


def test_nothing_is_relative_to_zero():
    E = np.array([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_array_equal(relative_distance(E, E + np.diag([1.0, 5.0])), [np.nan, 1])


def test_of_a_networks_features():
    ours = subject(batch_size=7)
    E, E_adv = outputs(ours).features.numpy(), outputs(ours, attacked(ours, FGSM)).features.numpy()
    found = run_measure(config.Sensitivity(attack=FGSM), ours)["sensitivity"]
    np.testing.assert_allclose(found, np.linalg.norm(E - E_adv, axis=1) / np.linalg.norm(E, axis=1), rtol=1e-3)
    assert found.min() > 0.001
    assert not run_measure(config.Sensitivity(attack=config.Natural()), ours)["sensitivity"].any()


def test_a_tiny_step_of_twice_the_length_moves_the_features_twice_as_far():
    ours = subject(n=10)
    small, large = (run_measure(config.Sensitivity(attack=config.FGSM(eps=e)), ours)["sensitivity"] for e in (1e-4, 2e-4))
    assert np.median(large / small) == pytest.approx(2, rel=0.05)
