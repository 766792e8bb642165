from unittest.mock import patch

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from tests.support.measured_network import outputs, subject
from trainables import config
from trainables.measures import run_measure
from trainables.measures.tsne import embed
from trainables.rng import derive

FGSM = config.FGSM(eps=0.1, beta_atk="0")


def clusters(n=20, d=8):
    """Three far clusters of n points."""
    generator = np.random.default_rng(0)
    return np.concatenate([generator.normal(size=(n, d)) + 50 * np.eye(d)[c] for c in range(3)]), np.repeat(np.arange(3), n)


def test_neighbours_stay_neighbours():
    E, cluster = clusters()
    coordinates = embed(E, perplexity=10, seed=0)
    _, neighbours = cKDTree(coordinates).query(coordinates, k=6)
    assert (cluster[neighbours] == cluster[:, None]).all()


def test_the_seed_decides_every_bit():
    E, _ = clusters()
    one, other = (embed(E, perplexity=10, seed=1) for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_as_many_neighbours_as_there_are_others_at_most():
    with pytest.raises(ValueError, match=r"perplexity = 12: must be less than the number of points, 12"):
        embed(np.eye(12), perplexity=12, seed=0)


def test_where_nothing_varies_everything_is_in_one_place():
    assert not embed(np.ones((9, 4)), perplexity=3, seed=0).any()


def test_of_a_networks_features():
    ours = subject()
    found = run_measure(config.TSNE(perplexity=5.0, examples=100), ours)
    E = outputs(ours).features.numpy()
    with threadpool_limits(1):
        expected = TSNE(perplexity=5, random_state=derive(ours.seed, "t-sne") % 2**32).fit_transform(E)
    assert {name: values.shape for name, values in found.items()} == {
        "coordinates": (40, 2),
        "labels": (40,),
        "adversarial": (40,),
        "indices": (40,),
    }
    assert found["indices"].tolist() == list(range(40))
    assert found["labels"].tolist() == ours.examples.labels.tolist()
    assert not found["adversarial"].any()
    np.testing.assert_array_equal(found["coordinates"], expected)


def test_natural_and_attacked_points_are_in_one_plane():
    found = run_measure(config.TSNE(attack=FGSM, perplexity=5.0, examples=20), subject())
    assert found["coordinates"].shape == (40, 2)
    assert found["adversarial"].tolist() == [False] * 20 + [True] * 20
    for name in ("labels", "indices"):
        assert found[name][:20].tolist() == found[name][20:].tolist()


def test_indices_name_the_image_of_each_point():
    ours = subject()
    with patch("trainables.measures.tsne.embed", lambda E, perplexity, seed: E):
        found = run_measure(config.TSNE(attack=FGSM, examples=20), ours)
    E = outputs(ours).features.numpy()[found["indices"]]
    natural = (found["coordinates"] == E).all(axis=1)
    assert natural.tolist() == (~found["adversarial"]).tolist()


def test_the_examples_are_of_all_classes_and_the_same_for_every_trial():
    ours = subject(n=200)
    spec = config.TSNE(perplexity=5.0, examples=20)
    found = run_measure(spec, ours)
    assert np.bincount(found["labels"]).tolist() == [2] * 10
    assert found["labels"].tolist() == ours.examples.labels[torch.from_numpy(found["indices"])].tolist()
    other = subject(config.CAS(positions=("P1",)), n=200)
    assert run_measure(spec, other)["indices"].tolist() == found["indices"].tolist()


def test_too_few_images_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"perplexity = 30\.0: must be less than the number of points, 10"):
        run_measure(config.TSNE(), subject(n=10))
