import math

import pytest
import torch

from trainables.attacks.building_blocks.losses import cross_entropy, cw_margin


def case(generator, n=9, classes=5):
    logits = 3 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(classes, (n,), generator=generator)


def test_cross_entropy(generator):
    logits, y = case(generator)
    expected = [-(z[c] - math.log(sum(math.exp(v) for v in z))) for z, c in zip(logits.tolist(), y.tolist(), strict=True)]
    assert cross_entropy(logits, y).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("confidence", [0.0, 2.0, 50.0])
def test_cw_margin(confidence, generator):
    logits, y = case(generator)
    expected = []
    for z, c in zip(logits.tolist(), y.tolist(), strict=True):
        others = [v for i, v in enumerate(z) if i != c]
        expected.append(-max(z[c] - max(others) + confidence, 0))
    assert cw_margin(confidence)(logits, y).tolist() == pytest.approx(expected)


def test_no_example_takes_another_ones_gradient():
    """An example far beyond the margin is flat; its neighbour is not, although the sum of their margins is negative."""
    logits = torch.tensor([[0.0, 9.0, 0.0], [2.0, 1.0, 0.0]], requires_grad=True)
    value = cw_margin(0.0)(logits, torch.tensor([0, 0]))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert gradient.tolist() == [[0, 0, 0], [-1, 1, 0]]
