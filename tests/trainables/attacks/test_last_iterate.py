"""Accuracy by an attack's last iterate alone, against a plain loop of projected gradient ascent."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.support.trained_digits import examples, robust
from trainables import config
from trainables.data import Examples, evaluation_batches
from trainables.evaluation import evaluate
from trainables.rng import generator

EPS, STEP = 0.1, 0.15  # so coarse that iterates go in and out of the wrong classes

#: More than a batch.
N, BATCH = 120, 50


@pytest.fixture
def labelled(monkeypatch):
    monkeypatch.setattr("trainables.evaluation.BATCH", BATCH)
    x, y = examples(N)
    return Examples((255 * x).round().to(torch.uint8), y)


def plain_pgd(network, images, steps, restarts=1):
    """Whether each example is wrong at each point: (restarts, steps + 1, N)."""
    wrong = []
    for i, (x, y) in enumerate(evaluation_batches(images, BATCH)):
        draws, runs = generator(0, f"stream/{i}"), []
        for _ in range(restarts):
            x_adv = (x + EPS * (2 * torch.rand(x.shape, generator=draws) - 1)).clamp(0, 1)
            points = []
            for k in range(steps + 1):
                x_adv.requires_grad_()
                logits = network(x_adv).logits
                points.append(logits.argmax(1) != y)
                if k < steps:
                    (gradient,) = torch.autograd.grad(cross_entropy(logits, y, reduction="sum"), x_adv)
                    x_adv = (x + (x_adv.detach() + STEP * gradient.sign() - x).clamp(-EPS, EPS)).clamp(0, 1)
            runs.append(torch.stack(points))
        wrong.append(torch.stack(runs))
    return torch.cat(wrong, 2).numpy()


def test_the_last_iterate_of_each_length_is_that_of_a_plain_loop(labelled):
    network = robust("standard").eval()
    (wrong,) = plain_pgd(network, labelled, 7)
    found = evaluate(network, labelled, config.PGD(eps=EPS, step=STEP, iterations=7), (1.0,), 0, "stream", complete=True)
    assert [found.last_accuracy(k) for k in range(1, 8)] == pytest.approx([1 - wrong[k].mean() for k in range(1, 8)])
    assert all(np.array_equal(found.last[k][0] > 0, wrong[k]) for k in range(1, 8))
    for each in found.by_steps([7, 2, 2]):
        k = each["steps"]
        assert each["last"] == found.last_accuracy(k)
        alone = evaluate(network, labelled, config.PGD(eps=EPS, step=STEP, iterations=k), (1.0,), 0, "stream", complete=True)
        assert (each["any"], each["last"]) == (alone.accuracy, alone.last_accuracy(k))
        shorter = found.after(k)
        assert np.array_equal(shorter.broken, alone.broken)
        assert np.array_equal(shorter.ranks["final"], alone.ranks["final"])
        assert np.array_equal(shorter.last[k], alone.last[k])
    assert [each["steps"] for each in found.by_steps([7, 2, 2])] == [2, 7]


def test_of_several_restarts_an_example_is_right_that_is_right_at_the_end_of_each(labelled):
    network = robust("standard").eval()
    wrong = plain_pgd(network, labelled, 3, restarts=3)
    attack = config.PGD(eps=EPS, step=STEP, iterations=3, restarts=3)
    found = evaluate(network, labelled, attack, (1.0,), 0, "stream", complete=True)
    for restarts in (1, 2, 3):
        assert found.last_accuracy(3 * restarts) == pytest.approx(1 - wrong[:restarts, -1].any(0).mean())
    assert found.last_accuracy(9) < found.last_accuracy(3), "the restarts differ"


def test_the_last_iterate_leaves_more_right_than_any():
    """And not as many: otherwise these tests would say nothing."""
    network, (x, y) = robust("standard").eval(), examples(N)
    images = Examples((255 * x).round().to(torch.uint8), y)
    found = evaluate(network, images, config.PGD(eps=EPS, step=STEP, iterations=8), (1.0,), 0, "stream", complete=True)
    whole = {each["steps"]: each for each in found.by_steps(range(1, 9))}
    assert all(each["last"] >= each["any"] for each in whole.values())
    assert any(each["last"] > each["any"] for each in whole.values())
    assert whole[8]["any"] == found.accuracy == float(np.mean(found.ranks["final"] == 0))


@pytest.mark.parametrize(
    "attack",
    [
        config.FGSM(eps=EPS),
        config.MIM(eps=EPS, step=STEP, iterations=4),
        config.AvgPGD(eps=EPS, step=STEP, iterations=4, samples=2),
        config.DIFGSM(eps=EPS, step=STEP, iterations=4, smallest=0.7),
        config.PGD(eps=EPS, step=STEP, iterations=4, view="soft"),
        config.MD(eps=EPS, iterations=4, first=2),
    ],
    ids=lambda attack: attack.name,
)
def test_every_attack_that_counts_steps_knows_its_last_iterate(labelled, attack):
    network = robust("standard").eval()
    found = evaluate(network, labelled, attack, (1.0,), 0, "stream", complete=True)
    assert found.accuracy <= found.last_accuracy(attack.gradient_steps) <= 1
    assert evaluate(network, labelled, attack, (1.0,), 0, "stream").last is None, "broken examples are left"


@pytest.mark.parametrize(
    "attack",
    [config.Natural(), config.AutoPGD(eps=EPS, iterations=4), config.Noise(eps=EPS), config.Square(eps=EPS, queries=9)],
    ids=lambda attack: attack.name,
)
def test_what_counts_no_steps_has_no_last_iterate(labelled, attack):
    found = evaluate(robust("standard"), labelled, attack, (1.0,), 0, "stream", complete=True)
    assert found.last is None
    assert found.by_steps([4]) is None
