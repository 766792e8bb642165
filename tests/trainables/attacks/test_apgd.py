import pytest
import torch

from tests.support.small_network import examples, small
from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.methods.apgd import apgd, checkpoints
from trainables.attacks.methods.pgd import pgd

CE = joint_objective((1.0, 0.0), cross_entropy)
EPS = 0.1


def test_the_checkpoints_are_the_papers():
    """p = 0, 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99 of the iterations, rounded up."""
    assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(20) == [0, 5, 9, 12, 14, 16, 18, 19, 20]
    assert checkpoints(1) == [0, 1]


def plain_apgd(model, x, y, iterations, start):
    """Run algorithm 1 for one image x (1, channels, size, size)."""

    def project(z):
        return z.clamp(x - EPS, x + EPS).clamp(0, 1)

    def f(z):
        z = z.detach().requires_grad_()
        value = CE(model(z), y)[0]
        (gradient,) = torch.autograd.grad(value, z)
        return value.item(), gradient

    W, eta, halvings = checkpoints(iterations), 2 * EPS, 0
    points, values = [start], [f(start)[0]]
    at, (value, gradient) = start, f(start)
    x_max, f_max, g_max = at, value, gradient
    before, rises, eta_then, f_max_then = at, [], eta, f_max
    for k in range(iterations):
        z = project(at + eta * gradient.sign())
        following = z if k == 0 else project(at + 0.75 * (z - at) + 0.25 * (at - before))
        before, at = at, following
        new, gradient = f(at)
        rises.append(new > value)
        value = new
        points.append(at)
        values.append(value)
        if value > f_max:
            x_max, f_max, g_max = at, value, gradient
        if k + 1 in W:
            since = W[W.index(k + 1) - 1]
            few = sum(rises[since : k + 1]) < 0.75 * (k + 1 - since)
            nothing_new = eta_then == eta and f_max_then == f_max
            eta_then, f_max_then = eta, f_max
            if few or nothing_new:
                eta, at, value, gradient, halvings = eta / 2, x_max, f_max, g_max, halvings + 1
    return x_max, halvings


@pytest.mark.parametrize("iterations", [1, 5, 20, 50])
def test_it_is_algorithm_1_example_by_example(iterations):
    model = small()
    x, y = examples(12)
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    starts = (x + EPS * (2 * u - 1)).clamp(x - EPS, x + EPS).clamp(0, 1)
    alone = [plain_apgd(model, x[i : i + 1], y[i : i + 1], iterations, starts[i : i + 1]) for i in range(len(x))]
    found = apgd(model, x, y, eps=EPS, iterations=iterations, objective=CE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, torch.cat([point for point, _ in alone]), rtol=0, atol=1e-9)
    if iterations > 5:
        assert len({halvings for _, halvings in alone}) > 1  # examples go their own ways


@pytest.mark.parametrize("iterations", [10, 20])
def test_it_is_at_least_as_strong_as_pgd(iterations):
    model = small()
    x, y = examples(64)
    settings = {"eps": EPS, "iterations": iterations, "objective": CE}
    auto = apgd(model, x, y, generator=torch.Generator().manual_seed(0), **settings)
    by_hand = [
        pgd(model, x, y, step=step, generator=torch.Generator().manual_seed(0), **settings)
        for step in (EPS / 10, EPS / 4, EPS, 2 * EPS)
    ]
    value = CE(clean_outputs(model, auto), y).mean()
    assert all(value > CE(clean_outputs(model, other), y).mean() - 1e-3 for other in by_hand)


def test_more_iterations_raise_the_objective_of_every_example():
    """The best point is kept; with a window of its own each number of iterations is another run, but one step is none's end."""
    model = small()
    x, y = examples(32)
    settings = {"eps": EPS, "objective": CE}
    values = [
        CE(clean_outputs(model, apgd(model, x, y, iterations=n, generator=torch.Generator().manual_seed(0), **settings)), y)
        for n in (1, 20)
    ]
    assert (values[1] >= values[0]).all()
    assert values[1].mean() > values[0].mean()
