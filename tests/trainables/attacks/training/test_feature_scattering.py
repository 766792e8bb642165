import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linprog

from tests.support.small_network import examples, small
from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.building_blocks.joint_objective import paired_objective
from trainables.attacks.methods.pgd import pgd
from trainables.attacks.training.feature_scattering import cosine_cost, sinkhorn, transport
from trainables.attacks.training.run import training_attack
from trainables.config import CAS, FeatureScattering


def exact(cost):
    """The optimal transport distance between uniform marginals, as a linear programme."""
    m, n = cost.shape
    rows, columns = np.kron(np.eye(m), np.ones(n)), np.kron(np.ones(m), np.eye(n))
    b = np.concatenate([np.full(m, 1 / m), np.full(n, 1 / n)])
    return linprog(cost.numpy().ravel(), A_eq=np.vstack([rows, columns]), b_eq=b).fun


def random_cost(generator, m, n):
    one, other = (torch.randn(k, 6, generator=generator, dtype=torch.float64) for k in (m, n))
    return cosine_cost(one, other)


def test_the_cost_is_one_minus_the_cosine(generator):
    one, other = torch.randn(2, 5, 6, generator=generator, dtype=torch.float64)
    expected = 1 - F.cosine_similarity(one[:, None], other[None], dim=2)
    torch.testing.assert_close(cosine_cost(one, other), expected)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (4, 4), (7, 7), (6, 4)])
def test_with_little_regularisation_it_is_the_linear_programmes_optimum(m, n, generator):
    cost = random_cost(generator, m, n)
    plan = sinkhorn(cost, regularisation=0.001, iterations=20_000)
    assert (plan >= 0).all()
    torch.testing.assert_close(plan.sum(0), torch.full((n,), 1 / n, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(1), torch.full((m,), 1 / m, dtype=torch.float64), rtol=0, atol=1e-4)
    assert (plan * cost).sum().item() == pytest.approx(exact(cost), abs=2e-3)


def test_the_papers_regularisation_is_close_to_the_optimum(generator):
    cost = random_cost(generator, 8, 8)
    plan = sinkhorn(cost, regularisation=0.01, iterations=100)
    assert (plan * cost).sum().item() == pytest.approx(exact(cost), abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("regularisation", [1e-6, 0.01, 100.0])
def test_any_regularisation_is_finite(regularisation, dtype, generator):
    plan = sinkhorn(random_cost(generator, 8, 8).to(dtype), regularisation=regularisation, iterations=100)
    assert plan.isfinite().all()
    assert plan.sum().item() == pytest.approx(1, abs=1e-3)


def test_much_regularisation_is_the_independent_plan(generator):
    plan = sinkhorn(random_cost(generator, 5, 5), regularisation=1e6, iterations=10)
    torch.testing.assert_close(plan, torch.full((5, 5), 1 / 25, dtype=torch.float64), rtol=1e-4, atol=0)


def test_the_gradient_is_that_of_the_distance(generator):
    """Of min over T of <T, cost> - regularisation H(T), by differences."""
    clean, logits = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    regularisation, h = 0.1, 1e-5

    def distance(logits):
        cost = cosine_cost(clean, logits)
        T = sinkhorn(cost, regularisation=regularisation, iterations=3000)
        return (T * cost).sum() + regularisation * (T * T.log()).sum()

    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(transport(regularisation, 3000, clean, logits).sum(), logits)
    for i in range(5):
        for j in range(4):
            e = torch.zeros_like(clean)
            e[i, j] = h
            slope = (distance(logits.detach() + e) - distance(logits.detach() - e)) / (2 * h)
            torch.testing.assert_close(gradient[i, j], slope, rtol=1e-4, atol=1e-7)


def test_it_is_one_step_up_the_transport_distance():
    model = small()
    x, y = examples(12)
    eps = 0.05
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    start = (x + eps * (2 * u - 1)).clamp(x - eps, x + eps).clamp(0, 1).requires_grad_()
    cost = 1 - F.cosine_similarity(model(x).logits.detach()[:, None], model(start).logits[None], dim=2)
    T = sinkhorn(cost, regularisation=0.01, iterations=100)
    (gradient,) = torch.autograd.grad((T * cost).sum(), start)
    expected = (start + eps * gradient.sign()).clamp(x - eps, x + eps).clamp(0, 1).detach()
    spec, cas = FeatureScattering(eps=eps, beta_atk="0"), CAS(positions=("block1.1",))
    found, targets = training_attack(spec, cas, model, x, y, torch.Generator().manual_seed(0), 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert targets is None
    other, _ = training_attack(spec, cas, model, x, y.flip(0), torch.Generator().manual_seed(0), 1)
    assert torch.equal(found, other)  # no labels


def test_the_distance_rises_along_the_steps():
    model = small()
    x, y = examples(24)
    clean = clean_outputs(model, x)
    objective = paired_objective((1.0, 1.0), lambda a, b: transport(0.01, 100, a, b), clean)
    values = []
    for n in range(0, 9, 2):
        settings = {"eps": 0.1, "step": 0.01, "iterations": n, "generator": torch.Generator().manual_seed(0)}
        values.append(objective(clean_outputs(model, pgd(model, x, y, objective=objective, **settings)), y).sum().item())
    assert values == sorted(values)
    assert values[-1] > 1.5 * values[0]
