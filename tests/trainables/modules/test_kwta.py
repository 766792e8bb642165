"""KWTAModule against its definition, written out for each example."""

import pytest
import torch
from pydantic import ValidationError

from trainables.config import KWTA, Model, TrialConfig
from trainables.modules.kwta import KWTAModule


def kwta(z, ratio):
    return KWTAModule(KWTA(ratio=ratio), 0, z.shape[1], 10)(z).z


@pytest.mark.parametrize(("ratio", "k"), [(0.2, 12), (0.01, 1), (0.001, 1), (0.99, 59), (1.0, 60)])
def test_the_k_largest_of_each_example_stay(ratio, k, generator):
    z = torch.randn(4, 5, 3, 4, generator=generator)
    for example, ours in zip(z, kwta(z, ratio), strict=True):
        winners = sorted(example.flatten().tolist(), reverse=True)[:k]
        expected = [[[v if v in winners else 0 for v in row] for row in channel] for channel in example.tolist()]
        assert torch.equal(ours, torch.tensor(expected))


def test_k_is_rounded_down_as_in_the_authors_code(generator):
    """a554b554/kWTA-Activation, b284f65, kWTA/models.py, Sparsify2D_vol: k = int(0.2 * 128)."""
    assert (kwta(torch.randn(1, 8, 4, 4, generator=generator), 0.2) != 0).sum() == 25


def test_equals_win_together():
    z = torch.tensor([3.0, 1, 2, 2, 2, 0, 0, 0, 0, 0]).view(1, 10, 1, 1)
    assert kwta(z, 0.2).flatten().tolist() == [3, 0, 2, 2, 2, 0, 0, 0, 0, 0]


def test_few_active_units_all_stay():
    z = torch.tensor([0.0, 0, 0, 5, 0]).view(1, 5, 1, 1)
    assert torch.equal(kwta(z, 0.8), z)


def test_the_gradient_is_the_winners(generator):
    z = torch.randn(4, 5, 3, 4, generator=generator, requires_grad=True)
    out = kwta(z, 0.3)
    out.sum().backward()
    assert torch.equal(z.grad, (out != 0).float())


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.01])
def test_a_share_is_above_0_and_at_most_1(ratio):
    with pytest.raises(ValidationError, match="ratio"):
        KWTA(ratio=ratio)


def test_it_is_everywhere_by_default():
    assert TrialConfig(module=KWTA()).module.positions == tuple(Model().positions())
