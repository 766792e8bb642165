"""SAPModule against the equations of its paper: one draw written out, and its distribution."""

import pytest
import torch
from pydantic import ValidationError

from trainables.config import SAP
from trainables.modules.sap import SAPModule


def sap(ratio, generator):
    module = SAPModule(SAP(ratio=ratio), 0, 3, 10)
    module.generator = generator
    return module


def test_one_pass(generator):
    """The same uniform numbers, turned into draws by walking along the activations; then Algorithm 1."""
    z = torch.randn(4, 3, 2, 2, generator=generator, dtype=torch.float64)
    ours = sap(0.5, torch.Generator().manual_seed(5))(z).z
    u = torch.rand(4, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for example, numbers, result in zip(z.flatten(1), u, ours.flatten(1), strict=True):
        total = sum(abs(h) for h in example.tolist())
        drawn = set()
        for number in numbers.tolist():
            left = number * total
            for i, h in enumerate(example.tolist()):
                left -= abs(h)
                if left < 0:
                    drawn.add(i)
                    break
        for i, h in enumerate(example.tolist()):
            expected = h / (1 - (1 - abs(h) / total) ** 6) if i in drawn else 0
            assert result[i].item() == pytest.approx(expected)


@pytest.mark.parametrize("ratio", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("training", [True, False])
def test_the_expectation_is_h_and_its_gradient_the_identitys(ratio, training, generator):
    n = 40_000
    h = torch.randn(1, 3, 2, 2, generator=generator, dtype=torch.float64)
    h[0, 0, 0, 0] = 0
    many = h.repeat(n, 1, 1, 1).requires_grad_()
    out = sap(ratio, generator).train(training)(many).z
    out.sum().backward()
    for each, expected in ((out.detach(), h[0]), (many.grad, (h[0] != 0).double())):
        error = (each.mean(0) - expected).abs()
        assert (error <= 5 * each.std(0) / n**0.5 + 1e-3).all()  # 1e-3: a unit may be too large to be pruned even once


def test_units_are_kept_as_often_as_they_are_drawn_at_all(generator):
    n, r = 40_000, 4
    h = torch.tensor([0.0, 1, 2, 5]).view(1, 4, 1, 1)
    out = sap(1.0, generator)(h.repeat(n, 1, 1, 1)).z
    p = h.flatten() / 8
    torch.testing.assert_close((out != 0).float().mean(0).flatten(), 1 - (1 - p) ** r, rtol=0, atol=0.0125)


def test_nothing_and_a_single_unit_pass(generator):
    z = torch.zeros(2, 3, 2, 2)
    z[1, 1, 0, 1] = -7
    z.requires_grad_()
    out = sap(0.5, generator)(z).z
    assert torch.equal(out, z)
    out.sum().backward()
    assert z.grad.isfinite().all()


def test_a_small_share_of_many_units_loses_no_precision(generator):
    """Every probability is near 1e-5 here, where 1 - (1 - p)^r in single precision has few digits."""
    z = 1 + torch.rand(1, 1, 300, 300, generator=generator)
    out = sap(0.01, generator)(z).z.double()
    p = z.double() / z.double().sum()
    expected = z.double() / (1 - (1 - p) ** 900)
    torch.testing.assert_close(out[out != 0], expected[out != 0], rtol=1e-4, atol=0)


@pytest.mark.parametrize("ratio", [0.0, -1.0])
def test_a_share_is_above_0(ratio):
    with pytest.raises(ValidationError, match="ratio"):
        SAP(ratio=ratio)
