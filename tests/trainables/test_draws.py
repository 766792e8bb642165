"""What a stochastic network says of the same images again and again."""

import numpy as np
import pytest
import torch

from tests.support.trained_digits import MODEL, examples
from trainables import config
from trainables.data import Examples, evaluation_batches
from trainables.evaluation import DRAWS, evaluate
from trainables.models import build_model
from trainables.rng import generator

PGD = config.PGD(eps=0.1, step=0.05, iterations=2)


def sap(ratio=0.2):
    """A network that predicts its own labels, most of the time."""
    module = config.SAP(positions=("block4.1", "block3.1"), ratio=ratio)
    network = build_model(MODEL, module, config.DATASETS["digits"], seed=0).eval()
    x, _ = examples(70)
    network.draw_from(torch.Generator().manual_seed(5))
    with torch.no_grad():
        return network, Examples((255 * x).round().to(torch.uint8), network(x).logits.argmax(1))


def test_the_mean_over_draws_is_that_of_plain_passes(monkeypatch):
    monkeypatch.setattr("trainables.evaluation.BATCH", 40)
    network, images = sap()
    found = evaluate(network, images, config.Natural(), (1.0,), 0, "stream", draws=6)
    singles, means = [], []
    for i, (x, y) in enumerate(evaluation_batches(images, 40)):
        network.draw_from(generator(0, f"stream/{i}/draws"))
        with torch.no_grad():
            logits = torch.stack([network(x).logits for _ in range(6)])
        singles.append((logits.argmax(2) == y).double().mean(0))
        means.append((logits.softmax(2).mean(0).argmax(1) == y).double())
    assert found.drawn.accuracy == pytest.approx(float(torch.cat(singles).mean()))
    assert found.drawn.averaged == pytest.approx(float(torch.cat(means).mean()))
    assert found.drawn.draws == 6
    assert 0 < found.drawn.accuracy < 1, "it draws"


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("attack", [config.Natural(), PGD], ids=lambda attack: attack.name)
def test_draws_change_nothing_else(attack, complete):
    network, images = sap()
    weights = (1.0,)
    one, other = (evaluate(network, images, attack, weights, 0, "stream", complete=complete, draws=n) for n in (0, DRAWS))
    assert one.drawn is None
    assert other.drawn.draws == DRAWS
    assert (one.ranks["final"] == other.ranks["final"]).all()
    assert (one.broken, one.last, one.by_steps([2])) == (None, None, None)


def test_a_network_that_prunes_next_to_nothing_is_as_right_on_average():
    network, images = sap(ratio=200.0)
    found = evaluate(network, images, PGD, (1.0,), 0, "stream", draws=20)
    assert found.drawn.accuracy == pytest.approx(found.accuracy, abs=0.05)
    assert found.accuracy == float(np.mean(found.ranks["final"] == 0))
