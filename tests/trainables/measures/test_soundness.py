import numpy as np
import pytest
import torch

from tests.support.linear_model import Linear, images
from tests.support.measured_network import subject
from trainables import config
from trainables.data import Examples
from trainables.measures import Subject, run_measure
from trainables.measures.soundness import disagreement

CLASSES = 4
SOUNDNESS = config.Soundness()


class Still(Linear):
    """A deterministic linear model with the interface of a network."""

    def draw_from(self, generator):
        return None


@pytest.fixture
def linear(generator):
    """A linear model and ten images."""
    model = Still(generator, classes=CLASSES).float()
    pixels = (255 * images(generator, 10)).to(torch.uint8)
    return Subject(model, Examples(pixels, torch.arange(10) % CLASSES), lambda attack: (1.0,), seed=0)


def test_of_a_linear_model(linear):
    """The gradient is W^T (p - e_y)."""
    found = run_measure(SOUNDNESS, linear)
    W, x, y = linear.network.weight[0].detach(), linear.examples.images.flatten(1) / 255, linear.examples.labels
    z = x @ W.T + linear.network.bias[0].detach()
    expected = ((z.softmax(1) - torch.eye(CLASSES)[y]) @ W).abs().amax(1)
    np.testing.assert_allclose(found["gradient"], expected.numpy(), rtol=1e-4)
    assert found["right"].tolist() == (z.argmax(1) == y).tolist()
    assert found["finite"].all()
    assert not found["disagreement"].any()


def test_a_saturated_loss_has_no_gradient_where_the_prediction_is_right(linear):
    with torch.no_grad():
        linear.network.weight *= 1e6
    found = run_measure(SOUNDNESS, linear)
    assert not found["gradient"][found["right"]].any()
    assert found["gradient"][~found["right"]].all()
    assert found["finite"].all()


def test_a_loss_that_is_not_finite_is_seen(linear):
    with torch.no_grad():
        linear.network.bias[0, 1] = torch.inf
    found = run_measure(SOUNDNESS, linear)
    assert not found["finite"].any()
    assert not found["disagreement"].any()


@pytest.mark.parametrize(
    ("module", "draws"),
    [
        (config.NoModule(), False),
        (config.CIFS(), False),
        (config.KWTA(), False),
        (config.FSR(), False),  # Gumbel noise is of the training forward only
        (config.FSR(separation="random"), True),
        (config.SAP(), True),
    ],
    ids=lambda case: getattr(case, "name", case),
)
def test_a_network_that_draws_disagrees_with_itself(module, draws):
    found = run_measure(SOUNDNESS, subject(module))
    assert (found["disagreement"] > 1e-5).any() == draws
    assert not draws or (found["disagreement"] > 1e-5).mean() > 0.9


def test_disagreement_is_a_share_of_the_largest_logit():
    z = torch.tensor([[4.0, -8.0], [0.0, 0.0], [1.0, torch.inf], [1.0, torch.nan]])
    again = torch.tensor([[5.0, -8.0], [0.0, 0.0], [1.0, torch.inf], [1.0, torch.nan]])
    found = disagreement(z, again)
    assert found[:3].tolist() == [1 / 8, 0, 0]
    assert torch.isnan(found[3])
