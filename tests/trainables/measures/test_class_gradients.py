import numpy as np
import pytest
import torch

from tests.support.linear_model import Linear, images
from tests.support.measured_network import images as pixels
from tests.support.measured_network import outputs, subject
from trainables import config
from trainables.measures import run_measure
from trainables.measures.class_gradients import LIKELIHOODS, class_means, gradient_norms

CLASSES = 4


@pytest.fixture
def model(generator):
    return Linear(generator, classes=CLASSES)


def closed_form(model, x, likelihood):
    """Compute the gradients of a linear model from G = W W^T and its probabilities p alone."""
    W = model.weight[0].detach()
    G = (W @ W.T).numpy()
    p = (x.flatten(1) @ W.T + model.bias[0].detach()).softmax(1).numpy()
    norms = np.empty(p.shape)
    for b, i in np.ndindex(*p.shape):
        v = np.eye(CLASSES)[i] - (0 if likelihood == "logit" else p[b])
        norms[b, i] = np.sqrt(v @ G @ v) * (p[b, i] if likelihood == "probability" else 1)
    return norms


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_of_a_linear_model(model, likelihood, generator):
    x = images(generator, 5)
    found = gradient_norms(model, x, LIKELIHOODS[likelihood])
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), closed_form(model, x, likelihood), rtol=1e-9)


def test_a_linear_models_logits_depend_on_no_image(model, generator):
    x, labels = images(generator, 12), np.arange(12) % CLASSES
    matrix = class_means(gradient_norms(model, x, LIKELIHOODS["logit"]).numpy(), labels, CLASSES)
    np.testing.assert_allclose(matrix, np.tile(model.weight[0].detach().norm(dim=1).numpy(), (CLASSES, 1)))


def test_a_certain_network_still_has_slopes(model, generator):
    """A probability of 1 - 1e-12 has no slope in single precision."""
    with torch.no_grad():
        model.weight *= 0.1
        model.bias[0] = torch.tensor([28.0, 0.0, 0.0, 0.0])
    x = images(generator, 5)
    found = gradient_norms(model.float(), x.float(), LIKELIHOODS["probability"]).numpy()
    model.double()
    assert 0 < found[0, 0] < 1e-11
    np.testing.assert_allclose(found, closed_form(model, x, "probability"), rtol=1e-3)


def test_the_mean_of_each_class_and_none_where_there_is_none():
    values = np.array([[1.0, 2.0], [3.0, 6.0], [10.0, 20.0]])
    np.testing.assert_array_equal(class_means(values, np.array([2, 2, 0]), 3), [[10, 20], [np.nan, np.nan], [2, 4]])


def test_by_finite_differences_in_a_network():
    ours = subject(config.CAS(positions=("P1",)), n=20)
    ours.network.double()
    x, y, h = pixels(ours.examples).double(), ours.examples.labels, 1e-6

    def p(x):
        return outputs(ours, x).logits.softmax(1)

    norms = torch.zeros(20, 10, dtype=torch.float64)
    for row, column in np.ndindex(8, 8):
        step = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
        step[0, 0, row, column] = h
        norms += ((p(x + step) - p(x - step)) / (2 * h)) ** 2
    expected = np.array([[norms.sqrt()[y == t, i].mean() for i in range(10)] for t in range(10)])
    ours.network.float()
    found = run_measure(config.ClassGradients(), ours)["gradients"]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_rows_are_true_classes_and_columns_are_derived():
    ours = subject(n=10)
    at = int((ours.examples.labels == 4).nonzero())
    norms = gradient_norms(ours.network, pixels(ours.examples), LIKELIHOODS["logit"])
    found = run_measure(config.ClassGradients(likelihood="logit"), ours)["gradients"]
    np.testing.assert_allclose(found[4], norms[at].numpy(), rtol=1e-5)
