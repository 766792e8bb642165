"""PGD and FGSM as training attacks: each option against a plain implementation of its method."""

import copy

import pytest
import torch
import torch.nn.functional as F

from tests.support.small_network import examples, small
from trainables.attacks.building_blocks.gradient import clean_outputs, frozen, slope
from trainables.attacks.building_blocks.joint_objective import joint_objective, kl_divergence, paired_objective
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.attacks.methods.pgd import pgd
from trainables.attacks.training.run import training_attack
from trainables.config import CAS, FGSMRS, TrainingPGD

CE = joint_objective((1.0, 0.0), cross_entropy)
EPS, STEP = 0.1, 0.02


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(x, kind, seed=0):
    draw = {"uniform": torch.rand, "gaussian": torch.randn}[kind]
    z = draw(x.shape, generator=seeded(seed), dtype=x.dtype)
    return x + (EPS * (2 * z - 1) if kind == "uniform" else 0.001 * z)


def plain_ascent(loss, x, start, step, iterations):
    """Take signed gradient steps that raise ``loss``, which maps images to a number."""
    x_adv = start
    for _ in range(iterations):
        x_adv = x_adv.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(x_adv), x_adv)
        x_adv = (x_adv + step * gradient.sign()).clamp(x - EPS, x + EPS).clamp(0, 1)
    return x_adv.detach()


def test_kl_is_the_divergence(generator):
    clean, logits = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    p, q = clean.softmax(1), logits.softmax(1)
    torch.testing.assert_close(kl_divergence(clean, logits), (p * (p / q).log()).sum(1))


def test_the_trades_attack():
    """eps, step, 10 steps from x + 0.001 N(0, 1), up KL(f(x) || f(x')) in evaluation mode (Zhang et al., algorithm 1)."""
    model = small()
    x, y = examples(16)
    p = model(x).logits.softmax(1).detach()

    def loss(x_adv):
        return F.kl_div(F.log_softmax(model(x_adv).logits, 1), p, reduction="sum")

    expected = plain_ascent(loss, x, noise(x, "gaussian"), STEP, 10)
    spec = TrainingPGD(eps=EPS, step=STEP, iterations=10, loss="kl", start="gaussian", beta_atk="0")
    found = training_attack(spec, CAS(positions=("block1.1",)), model.train(), x, y, seeded(), 1)
    torch.testing.assert_close(found.images, expected, rtol=0, atol=1e-12)
    assert found.targets is None


def test_cas_adds_beta_times_the_mean_divergence_of_its_modules():
    """CAS Table 7: KL + beta mean KL_s."""
    model = small()
    x, y = examples(16)
    p, p_aux = model(x).logits.softmax(1).detach(), model(x).aux[0].softmax(1).detach()

    def loss(x_adv):
        outputs = model(x_adv)
        final = F.kl_div(F.log_softmax(outputs.logits, 1), p, reduction="sum")
        return final + 3 * F.kl_div(F.log_softmax(outputs.aux[0], 1), p_aux, reduction="sum")

    spec = TrainingPGD(eps=EPS, step=STEP, iterations=5, loss="kl", start="gaussian")
    found = training_attack(spec, CAS(positions=("block1.1",), beta=3.0), model, x, y, seeded(), 1).images
    torch.testing.assert_close(found, plain_ascent(loss, x, noise(x, "gaussian"), STEP, 5), rtol=0, atol=1e-12)


def test_kl_has_no_gradient_at_the_image_itself():
    model = small()
    x, y = examples(16)
    objective = paired_objective((1.0, 1.0), kl_divergence, clean_outputs(model, x))
    with frozen(model):
        at_x = slope(model, x, y, objective)
        nearby = slope(model, x + 0.01, y, objective)
    assert at_x.value.abs().max() < 1e-12
    assert at_x.gradient.abs().max() < 1e-12
    assert nearby.gradient.abs().amax((1, 2, 3)).min() > 1e-9


@pytest.mark.parametrize("loss", ["ce", "kl"])
@pytest.mark.parametrize("bn", ["eval", "train"])
@pytest.mark.parametrize(("norm", "eps", "step"), [("linf", 0.1, 0.01), ("l2", 0.5, 0.05)])
def test_the_objective_rises_along_the_steps(loss, bn, norm, eps, step):
    model = small()
    x, y = examples(32)
    kl = paired_objective((1.0, 0.0), kl_divergence, clean_outputs(model, x, bn))
    objective = CE if loss == "ce" else kl
    values = []
    for n in range(0, 11, 2):
        settings = {"eps": eps, "step": step, "iterations": n, "norm": norm, "bn": bn, "start": "gaussian"}
        x_adv = pgd(model, x, y, objective=objective, generator=seeded(), **settings)
        with frozen(model, bn):
            values.append(slope(model, x_adv, y, objective).value.mean().item())
    assert values == sorted(values)
    assert values[-1] > 1.2 * values[0]


@pytest.mark.parametrize("mode", [True, False])
def test_batch_statistics_in_the_attack_leave_no_trace(mode):
    """As a copy in training mode attacks; the model itself keeps its running statistics, counters and modes."""
    model = small().train(mode)
    x, y = examples(16)
    before = copy.deepcopy(model.state_dict())
    other = copy.deepcopy(model).train()
    expected = plain_ascent(
        lambda x_adv: F.cross_entropy(other(x_adv).logits, y, reduction="sum"), x, noise(x, "uniform").clamp(0, 1), STEP, 4
    )
    settings = {"eps": EPS, "step": STEP, "iterations": 4, "objective": CE}
    found = pgd(model, x, y, generator=seeded(), bn="train", **settings)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert not torch.equal(found, pgd(model, x, y, generator=seeded(), **settings))
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(other.bn1.running_mean, before["bn1.running_mean"])
    assert all(m.training == mode for m in model.modules())
    assert model.bn1.track_running_stats


def test_a_momentum_of_batch_norms_stays():
    model = small()
    model.bn1.momentum, model.bn2.track_running_stats = None, False
    with frozen(model, "train"):
        pass
    assert (model.bn1.momentum, model.bn1.track_running_stats, model.bn2.track_running_stats) == (None, True, False)


def test_fgsm_from_a_random_start():
    """Wong et al., algorithm 3: delta uniform in the ball, one step of 1.25 eps, clipped to the ball."""
    model = small()
    x, y = examples(16)
    expected = plain_ascent(
        lambda x_adv: F.cross_entropy(model(x_adv).logits, y, reduction="sum"),
        x,
        noise(x, "uniform").clamp(0, 1),
        1.25 * EPS,
        1,
    )
    cas = CAS(positions=("block1.1",))
    found = training_attack(FGSMRS(eps=EPS, beta_atk="0"), cas, model, x, y, seeded(), 1).images
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
