"""PGD in every norm, MIM and the L1 ball, against foolbox on three networks."""

import foolbox
import pytest
import torch

from tests.support.trained_digits import accuracy, every_training, examples, logits, robust, run
from trainables import config
from trainables.attacks.building_blocks.ball import BALLS, length
from trainables.config import MIM, PGD

BUDGETS = {"linf": (0.15, 0.03), "l2": (0.8, 0.16), "l1": (2.0, 0.25)}
STEPS = 20


def foolboxs(attack, network, x, y, eps):
    return attack.run(foolbox.PyTorchModel(logits(network), bounds=(0, 1), device="cpu"), x, y, epsilon=eps)


def plain(kind, step):
    return kind(abs_stepsize=step, rel_stepsize=1.0, steps=STEPS, random_start=False)


@every_training
@pytest.mark.parametrize("norm", BUDGETS)
def test_pgd_in_every_norm(norm, training, record_property):
    network, (x, y), (eps, step) = robust(training), examples(), BUDGETS[norm]
    ours = run(PGD(eps=eps, step=step, iterations=STEPS, norm=norm, start="zero"), network, x, y).images
    kinds = {
        "linf": foolbox.attacks.LinfPGD,
        "l2": foolbox.attacks.L2PGD,
        "l1": foolbox.attacks.SparseL1DescentAttack,
    }
    theirs = foolboxs(plain(kinds[norm], step), network, x, y, eps)
    theirs = torch.where((length(theirs - x, norm) <= eps + 1e-4)[:, None, None, None], theirs, x)  # in L1 many leave the ball
    here, there = accuracy(network, ours, y), accuracy(network, theirs, y)
    record_property("accuracies", (here, there))
    assert abs(here - there) <= 0.5 or (norm == "l1" and here < there)
    if norm == "l1":
        dense = accuracy(network, foolboxs(plain(foolbox.attacks.L1PGD, step), network, x, y, eps), y)
        record_property("foolbox's dense L1 PGD", dense)
        assert here <= dense + 0.5


class Normalised(foolbox.attacks.LinfMomentumIterativeFastGradientMethod):
    """Foolbox's momentum method on normalised gradients as in the paper; foolbox itself accumulates signs."""

    def normalize(self, gradients, *, x, bounds):
        return gradients / gradients.abs().mean(axis=(1, 2, 3), keepdims=True)


@every_training
def test_mim(training, record_property):
    network, (x, y), (eps, step) = robust(training), examples(), BUDGETS["linf"]
    ours = run(MIM(eps=eps, step=step, iterations=STEPS), network, x, y).images
    theirs = foolboxs(plain(Normalised, step), network, x, y, eps)
    here, there = accuracy(network, ours, y), accuracy(network, theirs, y)
    record_property("accuracies", (here, there))
    assert abs(here - there) <= 0.5


@every_training
def test_diverse_inputs_break_too(training):
    network, (x, y), (eps, step) = robust(training), examples(), BUDGETS["linf"]
    settings = {"eps": eps, "step": step, "iterations": STEPS}
    di = run(config.DIFGSM(**settings, smallest=0.8), network, x, y).images
    fgsm = run(config.FGSM(eps=eps), network, x, y).images
    assert accuracy(network, di, y) < accuracy(network, fgsm, y) + 2
    never = run(config.DIFGSM(**settings, probability=0.0), network, x, y).images
    assert torch.equal(never, run(PGD(**settings, start="zero"), network, x, y).images)


def plain_l1(x, change, eps):
    """Project one image's change on the L1 ball and [0, 1] by bisection of the threshold."""

    def inside(theta):
        return (x + change.sign() * (change.abs() - theta).clamp(min=0)).clamp(0, 1)

    low, high = 0.0, change.abs().max().item()
    if (inside(low) - x).abs().sum() <= eps:
        return inside(low)
    for _ in range(100):
        theta = (low + high) / 2
        low, high = (theta, high) if (inside(theta) - x).abs().sum() > eps else (low, theta)
    return inside(high)


@pytest.mark.parametrize("eps", [0.0, 0.5, 3.0, 100.0])
def test_the_l1_projection_is_the_nearest_point(eps, generator):
    x = torch.rand(6, 1, 4, 4, generator=generator, dtype=torch.float64)
    x[0, 0, 0], x[1, 0, 1] = 0, 1
    sizes = torch.tensor([0.01, 0.05, 0.1, 0.3, 0.5, 2.0])[:, None, None, None]
    change = sizes * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    expected = torch.stack([plain_l1(*pair, eps) for pair in zip(x, change, strict=True)])
    projected = BALLS["l1"](x, eps).project(x + change)
    torch.testing.assert_close(projected, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(BALLS["l1"](x, eps).project(projected), projected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", BALLS)
def test_a_uniform_point_is_in_the_ball_and_not_in_a_corner_of_it(norm, generator):
    x = torch.full((500, 1, 2, 2), 0.5, dtype=torch.float64)
    far = length(BALLS[norm](x, 0.4).start("uniform", generator) - x, norm)
    assert far.max() <= 0.4 + 1e-12
    assert (far / 0.4).pow(4).mean() == pytest.approx(0.5, abs=0.05)  # the share of the volume inside is uniform


def test_an_l1_step_passes_over_pixels_that_cannot_go_on():
    x = torch.tensor([[[[1.0, 0.5], [0.0, 0.5]]]])
    gradient = torch.tensor([[[[9.0, 1.0], [-9.0, -2.0]]]])
    stepped = BALLS["l1"](x, 1.0).step(x, gradient, 0.25)
    assert stepped.tolist() == [[[[1.0, 0.5], [0.0, 0.25]]]]
