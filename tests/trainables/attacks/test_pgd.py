"""PGD and FGSM against linear models, whose best perturbation is known, and PGD against foolbox."""

import eagerpy
import foolbox
import pytest
import torch
from torch import nn

from tests.support.linear_model import Linear, images
from trainables.attacks import joint_objective
from trainables.attacks.building_blocks.losses import cross_entropy, cw_margin
from trainables.attacks.methods.fgsm import fgsm
from trainables.attacks.methods.pgd import pgd
from trainables.config import CAS, DATASETS, Model
from trainables.models import build_model

FINAL = joint_objective((1.0,), cross_entropy)


def best(x, w, y, eps):
    """Return the corner of the box at which the cross-entropy and the margin of two classes are highest."""
    direction = torch.stack([(w[1 - c] - w[c]).sign() for c in y]).view_as(x)
    return (x + eps * direction).clamp(0, 1)


@pytest.mark.parametrize("eps", [0.0, 8 / 255, 0.3])
@pytest.mark.parametrize("term", [cross_entropy, cw_margin(50.0)])
@pytest.mark.parametrize("start", ["uniform", "zero"])
def test_pgd_finds_a_linear_models_optimum(start, term, eps, generator):
    model = Linear(generator)
    x, y = images(generator, 6), torch.tensor([0, 1, 1, 0, 1, 0])
    settings = {"eps": eps, "step": eps / 4 or 1.0, "iterations": 9, "generator": generator, "start": start}
    x_adv = pgd(model, x, y, objective=joint_objective((1.0,), term), **settings)
    torch.testing.assert_close(x_adv, best(x, model.weight[0].detach(), y, eps), rtol=0, atol=1e-12)


@pytest.mark.parametrize("eps", [0.0, 8 / 255, 0.3])
def test_fgsm_finds_a_linear_models_optimum(eps, generator):
    model = Linear(generator)
    x, y = images(generator, 6), torch.tensor([0, 1, 1, 0, 1, 0])
    x_adv = fgsm(model, x, y, eps=eps, objective=FINAL)
    torch.testing.assert_close(x_adv, best(x, model.weight[0].detach(), y, eps), rtol=0, atol=1e-12)


@pytest.mark.parametrize("head", [0, 1, 2])
def test_the_head_that_is_aimed_at_is_the_one_attacked(head, generator):
    model = Linear(generator, aux=2)
    x, y = images(generator, 4), torch.tensor([0, 1, 1, 0])
    weights = tuple(float(i == head) for i in range(3))
    x_adv = fgsm(model, x, y, eps=0.1, objective=joint_objective(weights, cross_entropy))
    torch.testing.assert_close(x_adv, best(x, model.weight[head].detach(), y, 0.1), rtol=0, atol=1e-12)


def test_a_start_is_uniform_in_the_ball(generator):
    x = torch.full((4, 1, 50, 50), 0.5, dtype=torch.float64)
    y = torch.zeros(4, dtype=torch.int64)
    settings = {"step": 1.0, "iterations": 0, "objective": FINAL, "generator": generator}
    delta = pgd(Linear(generator, pixels=2500), x, y, eps=0.1, **settings) - x
    counts = torch.histc(delta, bins=10, min=-0.1, max=0.1)
    assert counts.sum() == delta.numel()
    assert (counts / delta.numel()).tolist() == pytest.approx([0.1] * 10, abs=0.015)


def test_pgd_returns_the_last_point_and_not_the_best(generator):
    """The objective is highest half a step away: one step overshoots, and the next goes back."""
    x, y = torch.full((1, 1, 4, 4), 0.5, dtype=torch.float64), torch.tensor([0])

    def bump(outputs, y):
        return -(outputs.features - 0.54).square().sum(1)

    settings = {"eps": 0.1, "step": 0.1, "objective": bump, "generator": generator, "start": "zero"}
    torch.testing.assert_close(pgd(Linear(generator), x, y, iterations=1, **settings), x + 0.1)
    torch.testing.assert_close(pgd(Linear(generator), x, y, iterations=2, **settings), x)


def plain_choice(points, wrongs, values):
    """Return the first of one example's most harmful end points."""
    return points[max(range(len(points)), key=lambda i: (wrongs[i], values[i]))]


def test_restarts_keep_each_examples_most_harmful_point(generator):
    """One step from a random start ends somewhere else each time."""
    model = Linear(generator, classes=4, aux=1)
    x, n = images(generator, 40), 5
    with torch.no_grad():
        y = model(x).logits.argmax(1)
    objective = joint_objective((0.1, 1.0), cross_entropy)  # mostly another head's: high values need not be errors
    settings = {"eps": 0.2, "step": 0.01, "iterations": 1, "objective": objective}
    one, other = (torch.Generator().manual_seed(5) for _ in range(2))
    points = [pgd(model, x, y, generator=one, **settings) for _ in range(n)]
    with torch.no_grad():
        wrongs = torch.stack([model(p).logits.argmax(1) != y for p in points]).T.tolist()
        values = torch.stack([objective(model(p), y) for p in points]).T.tolist()
    expected = torch.stack([plain_choice([p[i] for p in points], wrongs[i], values[i]) for i in range(len(x))])
    assert torch.equal(pgd(model, x, y, generator=other, restarts=n, **settings), expected)
    conflicts = [i for i in range(len(x)) if any(wrongs[i]) and not wrongs[i][values[i].index(max(values[i]))]]
    assert conflicts  # the rule is put to the test: somewhere the highest objective is not an error


class Logits(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x).logits


class Foolbox(foolbox.attacks.LinfProjectedGradientDescentAttack):
    """Foolbox's PGD from the start points of the product's."""

    def __init__(self, generator, **settings):
        super().__init__(**settings)
        self.generator = generator

    def get_random_start(self, x0, epsilon):
        u = torch.rand(x0.shape, generator=self.generator, dtype=torch.float64)
        return eagerpy.astensor(x0.raw + epsilon * (2 * u - 1))


@pytest.mark.parametrize(("eps", "step", "iterations"), [(8 / 255, 2 / 255, 10), (0.3, 0.02, 20)])
@pytest.mark.parametrize("start", ["uniform", "zero"])
def test_pgd_is_foolboxs(start, eps, step, iterations, generator, record_property):
    module = CAS(positions=("block4.1",))
    network = build_model(Model(name="resnet-10", width=4), module, DATASETS["digits"], seed=0).double().eval()
    x, y = images(generator, 16, side=8), torch.randint(10, (16,), generator=generator)
    ours = pgd(
        network,
        x,
        y,
        eps=eps,
        step=step,
        iterations=iterations,
        objective=joint_objective((1.0, 0.0), cross_entropy),
        generator=torch.Generator().manual_seed(1),
        start=start,
    )
    attack = Foolbox(
        torch.Generator().manual_seed(1), abs_stepsize=step, rel_stepsize=1.0, steps=iterations, random_start=start == "uniform"
    )
    theirs = attack.run(foolbox.PyTorchModel(Logits(network).eval(), bounds=(0, 1), device="cpu"), x, y, epsilon=eps)
    record_property("difference", (ours - theirs).abs().max().item())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert (ours - x).abs().max() > eps / 2
