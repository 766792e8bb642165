import pytest
import torch

from trainables.config import Data
from trainables.data.examples import Examples
from trainables.data.splits import sample, split, stratified_order


def examples(n, generator, classes=10, skew=1.0):
    """Return examples whose images hold their index, so that each can be identified."""
    p = torch.arange(1, classes + 1).double() ** -skew
    labels = torch.multinomial(p, n, replacement=True, generator=generator)
    return Examples(torch.arange(n)[:, None, None, None].repeat(1, 1, 2, 2), labels)


def numbers(part):
    return part.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("skew", [0.0, 1.0])
def test_every_prefix_has_the_class_proportions(skew, generator):
    labels = examples(500, generator, skew=skew).labels
    order = stratified_order(labels, seed=0)
    assert sorted(order.tolist()) == list(range(500))
    share = torch.bincount(labels, minlength=10) / 500
    for n in range(1, 501):
        counts = torch.bincount(labels[order[:n]], minlength=10)
        assert ((counts - n * share).abs() <= (1 + 10 * share) / 2 + 1e-4).all()


def test_the_order_is_a_shuffle_that_a_seed_decides(generator):
    labels = examples(500, generator).labels
    order = stratified_order(labels, seed=0)
    assert torch.equal(order, stratified_order(labels, seed=0))
    assert not torch.equal(order, stratified_order(labels, seed=1))
    zeros = order[labels[order] == 0]
    assert zeros.tolist() != sorted(zeros.tolist())


@pytest.mark.parametrize(("validation", "held_out"), [(0.0, 0), (0.02, 10), (0.1, 50), (0.001, 1)])
def test_validation_is_held_out_of_training(validation, held_out, generator):
    train, test = examples(500, generator), examples(100, generator)
    parts = split(train, test, Data(dataset="digits", validation=validation))
    assert [len(p) for p in parts] == [500 - held_out, held_out, 100]
    assert sorted(numbers(parts.train) + numbers(parts.validation)) == list(range(500))
    assert numbers(parts.test) == list(range(100))
    for part in (parts.train, parts.validation):
        assert torch.equal(part.labels, train.labels[part.images[:, 0, 0, 0]])  # labels stay with their images


def test_examples_limits_training_and_test(generator):
    train, test = examples(500, generator), examples(100, generator)
    parts = split(train, test, Data(dataset="digits", validation=0.1, examples=60))
    assert [len(p) for p in parts] == [54, 6, 60]
    assert len({*numbers(parts.train), *numbers(parts.validation)}) == 60
    whole = split(train, test, Data(dataset="digits", validation=0.1, examples=5000))
    assert [len(p) for p in whole] == [450, 50, 100]


def test_nothing_left_to_train_on_is_refused(generator):
    with pytest.raises(ValueError, match=r"data.validation=0.99 leaves 0 of 10"):
        split(examples(20, generator), examples(10, generator), Data(dataset="digits", validation=0.99, examples=10))


def test_a_sample_has_the_classes_in_proportion_and_keeps_the_order(generator):
    labels = examples(500, generator).labels
    chosen = sample(labels, 100)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == 100
    share = torch.bincount(labels, minlength=10) / 500
    assert ((torch.bincount(labels[chosen], minlength=10) - 100 * share).abs() <= (1 + 10 * share) / 2 + 1e-4).all()
    assert torch.equal(chosen, sample(labels, 100))
    assert set(sample(labels, 40).tolist()) < set(chosen.tolist())
    assert sample(labels, 1000).tolist() == list(range(500))
