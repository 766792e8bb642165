import math

import pytest
import torch

from tests.support.linear_model import Linear
from trainables.attacks import joint_objective
from trainables.attacks.building_blocks.ball import L2, Linf
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.methods.pgd import pgd


def grey(n=3, side=4):
    return torch.full((n, 1, side, side), 0.5, dtype=torch.float64)


def lengths(change):
    return change.flatten(1).norm(dim=1)


@pytest.mark.parametrize("ball", [Linf, L2])
@pytest.mark.parametrize("kind", ["uniform", "zero", "gaussian"])
@pytest.mark.parametrize("eps", [0.0, 0.001, 0.4, 3.0])
def test_a_start_is_in_the_ball_and_in_range(ball, kind, eps, generator):
    x = torch.rand(5, 3, 6, 6, generator=generator, dtype=torch.float64)
    start = ball(x, eps).start(kind, generator)
    size = (start - x).abs().flatten(1).amax(1) if ball is Linf else lengths(start - x)
    assert size.max() <= eps + 1e-12
    assert 0 <= start.min() <= start.max() <= 1
    assert torch.equal(start, x) == (kind == "zero" or eps == 0)


def test_a_zero_start_draws_nothing(generator):
    before = generator.get_state()
    Linf(grey(), 0.1).start("zero", generator)
    assert torch.equal(generator.get_state(), before)


def test_a_gaussian_start_is_trades(generator):
    change = Linf(grey(100), 0.3).start("gaussian", generator) - grey(100)
    assert change.std().item() == pytest.approx(0.001, rel=0.05)


def test_a_uniform_start_is_uniform_in_the_l2_ball(generator):
    """Of a ball of n dimensions, a share of q^n is within q of its radius; every direction is as likely as its opposite."""
    change = L2(grey(4000, side=2), 0.4).start("uniform", generator) - grey(4000, side=2)
    shares = (lengths(change) / 0.4) ** 4
    assert torch.histc(shares, 10, 0, 1).div(4000).tolist() == pytest.approx([0.1] * 10, abs=0.02)
    assert change.mean(0).abs().max() < 0.01


def test_l2_projects_on_the_nearest_point():
    x = grey(1)
    out = L2(x, 0.2).project(x + 0.1)
    torch.testing.assert_close(out, x + 0.1 * 0.2 / 0.4)
    assert torch.equal(L2(x, 0.2).project(x + 0.01), x + 0.01)


@pytest.mark.parametrize("ball", [Linf, L2])
def test_no_gradient_is_no_step(ball):
    x = grey()
    assert torch.equal(ball(x, 0.1).step(x, torch.zeros_like(x), 0.05), x)


def test_an_l2_step_has_its_length(generator):
    gradient = 1e-9 * torch.randn(3, 1, 4, 4, generator=generator, dtype=torch.float64)
    change = L2(grey(), 1.0).step(grey(), gradient, 0.05) - grey()
    torch.testing.assert_close(lengths(change), torch.full((3,), 0.05, dtype=torch.float64))
    torch.testing.assert_close(change / 0.05, gradient / lengths(gradient).view(3, 1, 1, 1))


@pytest.mark.parametrize("start", ["uniform", "zero", "gaussian"])
def test_l2_pgd_finds_a_linear_models_optimum(start, generator):
    model, x, y = Linear(generator), grey(2), torch.tensor([0, 1])
    settings = {"eps": 0.3, "step": 0.1, "iterations": 60, "start": start, "norm": "l2", "generator": generator}
    x_adv = pgd(model, x, y, objective=joint_objective((1.0,), cross_entropy), **settings)
    direction = (model.weight[0][1 - y] - model.weight[0][y]).detach().view_as(x)
    expected = x + 0.3 * direction / lengths(direction).view(2, 1, 1, 1)
    torch.testing.assert_close(x_adv, expected, rtol=0, atol=1e-3)
    assert math.isclose(lengths(x_adv - x).max(), 0.3, rel_tol=1e-9)
