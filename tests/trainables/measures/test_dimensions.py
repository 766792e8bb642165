import numpy as np
import pytest
from scipy.linalg import svdvals
from sklearn.decomposition import PCA

from tests.support.measured_network import outputs, subject
from trainables import config
from trainables.measures import run_measure
from trainables.measures.dimensions import explained_variance, principal_dimensions, units


def features(rank, d=12, n=50, seed=0):
    """(n, d) that vary in ``rank`` directions alike, far from the origin."""
    generator = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(generator.normal(size=(d, d)))
    coordinates = generator.normal(size=(n, rank))
    centred, _ = np.linalg.qr(coordinates - coordinates.mean(axis=0))
    return 100 + centred @ basis[:rank]


@pytest.mark.parametrize("rank", [0, 1, 5, 12])
def test_equal_variance_in_some_directions(rank):
    explained = explained_variance(features(rank))
    np.testing.assert_allclose(explained[:rank], 1 / (rank or 1))
    np.testing.assert_allclose(explained[rank:], 0, atol=1e-12)
    assert principal_dimensions(explained, 0.99) == rank
    assert principal_dimensions(explained, 0.45) == {0: 0, 1: 1, 5: 3, 12: 6}[rank]


def test_the_share_of_a_component_is_its_singular_value_squared():
    E = np.random.default_rng(0).normal(size=(40, 6)) * [9, 5, 3, 1, 0.5, 0.1]
    squares = svdvals(E - E.mean(axis=0)) ** 2
    np.testing.assert_allclose(explained_variance(E), squares / squares.sum())


@pytest.mark.parametrize("variance", [0.3, 0.9, 0.99, 0.9999])
def test_as_many_components_as_scikit_learn_takes(variance):
    E = np.random.default_rng(0).normal(size=(40, 20)) * np.logspace(0, -3, 20)
    expected = PCA(n_components=variance, svd_solver="full").fit(E).n_components_
    assert principal_dimensions(explained_variance(E), variance) == expected


def test_more_features_than_examples():
    assert explained_variance(features(3, d=60, n=70)[:10]).shape == (10,)
    assert explained_variance(features(3)[:1]).tolist() == [0]


def test_a_unit_counts_once_it_is_not_zero():
    E = np.zeros((5, 4))
    assert units(E) == 0
    E[3, 1], E[:, 2], E[4, 3] = 1e-30, 1, -1
    assert units(E) == 3


def test_of_a_networks_features():
    ours = subject(batch_size=9)
    E = outputs(ours).features.numpy()
    found = run_measure(config.Dimensions(variance=0.8), ours)
    assert found["units"] == (np.abs(E).sum(axis=0) > 0).sum()
    assert found["dimensions"] == PCA(n_components=0.8, svd_solver="full").fit(E.astype(float)).n_components_
    assert found["explained"].sum() == pytest.approx(1)


def test_a_dead_unit_is_none():
    ours = subject()
    last = ours.network.blocks[-1]
    last.bn2.weight.data[:5] = 0
    last.bn2.bias.data[:5] = -1e6
    assert run_measure(config.Dimensions(), ours)["units"] <= 32 - 5
