"""A network whose logits are not finite has no accuracy, and says so."""

import pytest
import torch

from tests.support.trained_digits import examples, robust
from trainables import config
from trainables.data import Examples
from trainables.evaluation import NotFinite, evaluate


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("attack", [config.Natural(), config.PGD(eps=0.1, step=0.05, iterations=2)], ids=lambda a: a.name)
def test_it_says_on_how_many_images(value, attack):
    network = robust("standard")
    x, y = examples(20)
    images = Examples((255 * x).round().to(torch.uint8), y)
    assert 0 <= evaluate(network, images, attack, (1.0,), 0, "stream").accuracy <= 1
    with torch.no_grad():
        network.fc.bias[3] = value
    with pytest.raises(NotFinite, match="the logits of 20 of 20 images are not finite"):
        evaluate(network, images, attack, (1.0,), 0, "stream")
