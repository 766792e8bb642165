from typing import Any

import pytest
import torch

from tests.support.small_network import examples, small
from trainables.attacks.building_blocks.gradient import clean_outputs
from trainables.attacks.building_blocks.joint_objective import joint_objective
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.methods.pgd import pgd
from trainables.attacks.training.friendly import friendly
from trainables.attacks.training.run import training_attack
from trainables.config import Friendly, NoModule

CE = joint_objective((1.0, 0.0), cross_entropy)
SETTINGS = {"eps": 0.2, "step": 0.02, "iterations": 10, "objective": CE}


def seeded():
    return torch.Generator().manual_seed(0)


def plain_friendly(model, x, y, tau):
    """Run algorithm 1 (PGD-K-tau) for one example after the other, from the starts of the batch."""
    starts = pgd(model, x, y, generator=seeded(), **SETTINGS | {"iterations": 0})
    ends, steps = [], []
    for i in range(len(x)):
        x_adv, left, taken = starts[i : i + 1], tau, 0
        for _ in range(10):
            z = x_adv.detach().requires_grad_()
            logits = model(z).logits
            if logits.argmax() != y[i]:
                if left == 0:
                    break
                left -= 1
            (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, y[i : i + 1]), z)
            x_adv = (z + 0.02 * gradient.sign()).clamp(x[i] - 0.2, x[i] + 0.2).clamp(0, 1)
            taken += 1
        ends.append(x_adv.detach())
        steps.append(taken)
    return torch.cat(ends), steps


@pytest.mark.parametrize("tau", [0, 1, 2, 3])
def test_it_is_algorithm_1_example_by_example(tau):
    model = small()
    x, y = examples(24)
    expected, steps = plain_friendly(model, x, y, tau)
    torch.testing.assert_close(friendly(model, x, y, tau=tau, generator=seeded(), **SETTINGS), expected, rtol=0, atol=1e-9)
    assert min(steps) < 10
    assert len(set(steps)) > 2


def test_a_large_tau_is_pgd_bit_for_bit():
    model = small()
    x, y = examples(24)
    for start in ("uniform", "gaussian"):
        ends = (
            friendly(model, x, y, tau=10, generator=seeded(), start=start, **SETTINGS),
            pgd(model, x, y, generator=seeded(), start=start, **SETTINGS),
        )
        assert torch.equal(*ends)


def test_tau_0_ends_at_the_first_misclassified_point():
    """The first misclassified point among PGD's points, or the last point if none is misclassified."""
    model = small()
    x, y = examples(24)
    points = [pgd(model, x, y, generator=seeded(), **SETTINGS | {"iterations": n}) for n in range(11)]
    wrong = torch.stack([clean_outputs(model, p).logits.argmax(1) != y for p in points])
    first = [next((n for n in range(11) if wrong[n, i]), 10) for i in range(24)]
    expected = torch.stack([points[n][i] for i, n in enumerate(first)])
    found = friendly(model, x, y, tau=0, generator=seeded(), **SETTINGS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert (clean_outputs(model, found).logits.argmax(1) != y).sum() > 12


def test_a_larger_tau_is_a_stronger_attack():
    model = small()
    x, y = examples(24)
    ends = [friendly(model, x, y, tau=tau, generator=seeded(), **SETTINGS) for tau in (0, 1, 2, 10)]
    values = [CE(clean_outputs(model, end), y).mean().item() for end in ends]
    assert values == sorted(values)


def test_omega_is_noise_of_every_step_before_the_projection():
    """x' = clip(x' + step sign(g) + omega N(0, 1)) of the public code, with tau too large to stop."""
    model = small()
    x, y = examples(24)
    generator = seeded()
    x_adv = (x + 0.2 * (2 * torch.rand(x.shape, generator=generator, dtype=x.dtype) - 1)).clamp(0, 1)
    for _ in range(3):
        z = x_adv.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(model(z).logits, y, reduction="sum"), z)
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x_adv = (z.detach() + 0.02 * gradient.sign() + 0.01 * noise).clamp(x - 0.2, x + 0.2).clamp(0, 1)
    found = friendly(model, x, y, tau=10, generator=seeded(), omega=0.01, **SETTINGS | {"iterations": 3})
    torch.testing.assert_close(found, x_adv, rtol=0, atol=1e-12)


def test_tau_follows_the_epochs():
    """0 up to epoch 50, 1 up to 90, then 2."""
    spec = Friendly(eps=0.2, step=0.02, iterations=10, omega=0.0)
    assert [spec.tau(epoch) for epoch in (1, 50, 51, 90, 91, 120)] == [0, 0, 1, 1, 2, 2]
    model: Any = small()
    x, y = examples(24)
    model.forward = lambda x, forward=model.forward: forward(x)._replace(aux=())
    settings = SETTINGS | {"objective": joint_objective((1.0,), cross_entropy)}
    for epoch, tau in ((50, 0), (51, 1), (91, 2)):
        expected = friendly(model, x, y, tau=tau, generator=seeded(), **settings)
        assert torch.equal(training_attack(spec, NoModule(), model, x, y, seeded(), epoch).images, expected)
