"""What a stochastic network says of the same images again and again."""

import numpy as np
import pytest
import torch

from tests.support.trained_digits import MODEL, examples
from trainables import config
from trainables.data import Examples, evaluation_batches
from trainables.evaluation import evaluate
from trainables.models import build_model
from trainables.rng import generator

PGD = config.PGD(eps=0.1, step=0.05, iterations=2)


def sap(ratio=0.2, averaged=100):
    """A network that predicts its own labels, most of the time."""
    module = config.SAP(positions=("block4.1", "block3.1"), ratio=ratio, averaged=averaged)
    network = build_model(MODEL, module, config.DATASETS["digits"], seed=0).eval()
    x, _ = examples(70)
    network.draw_from(torch.Generator().manual_seed(5))
    with torch.no_grad():
        return network, Examples((255 * x).round().to(torch.uint8), network(x).logits.argmax(1))


def mean_softmax(network, images, stream, draws):
    """The logits of so many plain passes, (draws, N, classes), with the numbers that an evaluation draws."""
    found, labels = [], []
    for i, (x, y) in enumerate(evaluation_batches(images, 40)):
        network.draw_from(generator(0, f"{stream}/{i}/draws"))
        with torch.no_grad():
            found.append(torch.stack([network(x).logits for _ in range(draws)]))
        labels.append(y)
    return torch.cat(found, 1), torch.cat(labels)


@pytest.mark.parametrize("complete", [False, True])
def test_the_prediction_is_the_mean_over_draws(monkeypatch, complete):
    monkeypatch.setattr("trainables.evaluation.BATCH", 40)
    network, images = sap(averaged=6)
    found = evaluate(network, images, config.Natural(), (1.0,), 0, "stream", complete=complete)
    logits, y = mean_softmax(network, images, "stream", 6)
    single, right = logits.argmax(2) == y, logits.softmax(2).mean(0).argmax(1) == y
    assert found.drawn.accuracy == pytest.approx(single.double().mean().item())
    assert found.drawn.averaged == found.accuracy == pytest.approx(right.double().mean().item())
    assert ((found.ranks["final"] == 0) == right.numpy()).all()
    assert found.drawn.draws == 6
    assert 0 < found.drawn.accuracy < 1, "it draws"
    assert (found.broken, found.last, found.by_steps([2])) == (None, None, None)


def test_as_many_draws_as_the_module_says():
    network, images = sap()
    found = {
        most: evaluate(network, images, config.Natural(), (1.0,), 0, "s", most=most).drawn.draws for most in (None, 7, 999)
    }
    assert found == {None: config.SAP().averaged, 7: 7, 999: 100}
    other = build_model(MODEL, config.FSR(separation="random", positions=("block4.1",)), config.DATASETS["digits"], seed=0)
    assert evaluate(other, images, config.Natural(), (1.0,), 0, "s").drawn.draws == 10
    plain = build_model(MODEL, config.NoModule(), config.DATASETS["digits"], seed=0)
    assert evaluate(plain, images, config.Natural(), (1.0,), 0, "s").drawn is None


def test_a_network_that_prunes_next_to_nothing_is_as_right_on_average():
    network, images = sap(ratio=200.0, averaged=20)
    found = evaluate(network, images, PGD, (1.0,), 0, "stream")
    assert found.drawn.accuracy == pytest.approx(found.accuracy, abs=0.05)
    assert found.accuracy == float(np.mean(found.ranks["final"] == 0))
