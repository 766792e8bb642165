import math

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
    plan = sinkhorn(cost, regularisation=0.001, iterations=20_000, tolerance=0)
    assert (plan >= 0).all()
    torch.testing.assert_close(plan.sum(0), torch.full((n,), 1 / n, dtype=torch.float64), rtol=0, atol=2e-6)  # the floor
    torch.testing.assert_close(plan.sum(1), torch.full((m,), 1 / m, dtype=torch.float64), rtol=0, atol=1e-4)
    assert (plan * cost).sum().item() == pytest.approx(exact(cost), abs=2e-3)


def test_the_papers_regularisation_is_close_to_the_optimum(generator):
    cost = random_cost(generator, 8, 8)
    plan = sinkhorn(cost, regularisation=0.01, iterations=100, tolerance=0)
    assert (plan * cost).sum().item() == pytest.approx(exact(cost), abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("regularisation", [1e-6, 0.01, 100.0])
def test_any_regularisation_is_finite(regularisation, dtype, generator):
    plan = sinkhorn(random_cost(generator, 8, 8).to(dtype), regularisation=regularisation, iterations=100, tolerance=0)
    assert plan.isfinite().all()
    if regularisation > 1e-6:  # there the floor under the sums outweighs every exponential
        assert plan.sum().item() == pytest.approx(1, abs=1e-3)


def test_much_regularisation_is_the_independent_plan(generator):
    plan = sinkhorn(random_cost(generator, 5, 5), regularisation=1e6, iterations=10, tolerance=0)
    torch.testing.assert_close(plan, torch.full((5, 5), 1 / 25, dtype=torch.float64), rtol=1e-4, atol=0)


def plain_distance(clean, logits, regularisation=0.01, iterations=100, tolerance=0.1):
    """<T, cost> as the public code computes it, in float64: sums of exponentials that may vanish, and a floor under them."""
    cost = 1 - F.cosine_similarity(clean[:, None], logits[None], dim=2)
    n = len(cost)
    u, v = torch.zeros(n, dtype=cost.dtype), torch.zeros(n, dtype=cost.dtype)
    taken = 0
    while taken < iterations:
        K = torch.exp((u[:, None] + v[None] - cost) / regularisation)
        change = regularisation * (math.log(1 / n) - torch.log(K.sum(1) + 1e-6))
        u = u + change
        K = torch.exp((u[:, None] + v[None] - cost) / regularisation)
        v = v + regularisation * (math.log(1 / n) - torch.log(K.sum(0) + 1e-6))
        taken += 1
        if change.abs().sum() < tolerance:
            break
    return (torch.exp((u[:, None] + v[None] - cost) / regularisation) * cost).sum(), taken


@pytest.mark.parametrize("spread", [0.01, 0.3, 3.0])
def test_the_distance_and_its_gradient_are_those_of_the_public_code(spread, generator):
    clean, noise = torch.randn(2, 12, 10, generator=generator, dtype=torch.float64)
    logits = (clean + spread * noise).requires_grad_()
    expected, taken = plain_distance(clean, logits)
    assert 1 < taken < 100
    found = transport(FeatureScattering(eps=0.1), clean, logits).sum()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits))


def test_values_of_the_public_code():
    """Of sinkhorn_loss_joint_IPOT in ot.py of Haichao-Zhang/FeatureScatter, commit 77e9140, on a CPU, seed 0."""
    clean, noise = torch.randn(2, 8, 10, generator=torch.Generator().manual_seed(0))
    logits = (clean + 0.3 * noise).requires_grad_()
    distance = transport(FeatureScattering(eps=0.1), clean, logits).sum()
    distance.backward()
    assert distance.item() == pytest.approx(0.03757377, rel=1e-5)
    assert logits.grad is not None
    assert logits.grad.norm().item() == pytest.approx(0.03405210, rel=1e-4)
    row = [-0.00118232518, 0.00206512678, -0.00368469022, -0.000301354099, 0.00412025023]
    assert logits.grad[0, :5].tolist() == pytest.approx(row, rel=1e-3)


def test_it_is_one_step_up_the_transport_distance():
    model = small()
    x, y = examples(12)
    eps = 0.05
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    start = (x + eps * (2 * u - 1)).requires_grad_()
    assert ((start < 0) | (start > 1)).any()
    cost = 1 - F.cosine_similarity(model(x).logits.detach()[:, None], model(start).logits[None], dim=2)
    T = sinkhorn(cost, regularisation=0.01, iterations=100, tolerance=0.1)
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
    objective = paired_objective((1.0, 1.0), lambda a, b: transport(FeatureScattering(eps=0.1), a, b), clean)
    values = []
    for n in range(0, 9, 2):
        settings = {"eps": 0.1, "step": 0.01, "iterations": n, "generator": torch.Generator().manual_seed(0)}
        values.append(objective(clean_outputs(model, pgd(model, x, y, objective=objective, **settings)), y).sum().item())
    assert values == sorted(values)
    assert values[-1] > 1.5 * values[0]
