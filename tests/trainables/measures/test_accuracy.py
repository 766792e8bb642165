import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score, top_k_accuracy_score

from trainables.measures import class_accuracy, top_k_accuracy
from trainables.outputs import rank

CLASSES = 6


@pytest.fixture
def scored():
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(200, CLASSES)), generator.integers(CLASSES, size=200)
    return logits, labels, rank(torch.from_numpy(logits), torch.from_numpy(labels)).numpy().astype(np.uint16)


def test_a_rank_counts_the_classes_that_score_at_least_as_high():
    logits = torch.tensor([[3.0, 1.0, 2.0], [3.0, 3.0, 1.0], [2.0, 2.0, 2.0], [torch.nan, 1.0, 0.0]])
    assert [rank(logits, torch.full((4,), label)).tolist() for label in (0, 1)] == [[0, 1, 2, 2], [2, 1, 2, 1]]


def test_the_accuracy_of_a_class_is_its_recall(scored):
    logits, labels, ranks = scored
    expected = recall_score(labels, logits.argmax(1), average=None)
    np.testing.assert_allclose(class_accuracy(ranks, labels, CLASSES), expected)


def test_a_class_without_examples_has_none():
    found = class_accuracy(np.array([0, 3, 0], np.uint16), np.array([1, 1, 3]), 5)
    np.testing.assert_array_equal(found, [np.nan, 0.5, np.nan, 1, np.nan])


def test_the_classes_make_up_the_whole(scored):
    _, labels, ranks = scored
    each = class_accuracy(ranks, labels, CLASSES)
    assert each @ np.bincount(labels) / 200 == pytest.approx((ranks == 0).mean())


@pytest.mark.parametrize("k", [1, 2, 3, CLASSES - 1])
def test_top_k(scored, k):
    logits, labels, ranks = scored
    assert top_k_accuracy(ranks, k) == pytest.approx(top_k_accuracy_score(labels, logits, k=k, labels=range(CLASSES)))
