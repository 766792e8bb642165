import pytest
import torch
from torch import nn

from tests.support.linear_model import Linear, images
from trainables.attacks.building_blocks.gradient import frozen, input_gradient


def test_the_gradient_is_autograds_and_needs_no_parameter(generator):
    model = Linear(generator)
    x, y = images(generator, 3), torch.tensor([0, 1, 0])

    def objective(outputs, y):
        return outputs.logits.gather(1, y[:, None])[:, 0]

    with torch.no_grad(), frozen(model):
        assert not any(p.requires_grad for p in model.parameters())
        gradient = input_gradient(model, x, y, objective)
    torch.testing.assert_close(gradient, model.weight[0][y].view_as(x).detach())
    assert model.weight.grad is None
    assert not x.requires_grad


def test_a_model_comes_back_as_it_was_after_an_error_too():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), nn.Sequential(nn.BatchNorm2d(1)))
    model[1].eval()
    model[0].weight.requires_grad_(False)

    def flags():
        return [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]

    def fail():
        assert not any(m.training for m in model.modules())
        assert not any(p.requires_grad for p in model.parameters())
        raise ZeroDivisionError

    before = flags()
    with pytest.raises(ZeroDivisionError), frozen(model):
        fail()
    assert flags() == before
