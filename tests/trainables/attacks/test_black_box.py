"""Square against pyautoattack, NAttack, Boundary, noise and transfer; and a network whose gradients are hidden."""

from typing import Any

import pytest
import torch
from pyautoattack.square import SquareAttack
from torch import nn

from tests.support.linear_model import Linear, images
from tests.support.trained_digits import EPS, accuracy, every_training, examples, logits, robust, run
from trainables import config
from trainables.attacks import SourceNetwork, run_attack
from trainables.attacks.building_blocks.ball import length


@every_training
@pytest.mark.parametrize(("norm", "eps"), [("linf", EPS), ("l2", 0.8)])
def test_square_is_pyautoattacks(training, norm, eps, record_property):
    """Both use the same random squares."""
    network, (x, y) = robust(training), examples()
    ours = run(config.Square(eps=eps, norm=norm, queries=100), network, x, y).images
    seed = int(torch.randint(2**31 - 1, (), generator=torch.Generator().manual_seed(0)))
    with torch.random.fork_rng():
        attack = SquareAttack(logits(network), norm=norm.capitalize(), n_queries=100, eps=eps, seed=seed, device="cpu")
        theirs = attack.perturb(x, y)
    here, there = accuracy(network, ours, y), accuracy(network, theirs, y)
    record_property("accuracies", (here, there))
    assert abs(here - there) <= 0.5


@every_training
def test_nattack_is_between_noise_and_pgd(training, record_property):
    network, (x, y), eps = robust(training), examples(60), 0.2
    found = run(config.NAttack(eps=eps, queries=2000, samples=50), network, x, y).images
    noise = run(config.Noise(eps=eps, restarts=20), network, x, y).images
    pgd = run(config.PGD(eps=eps, step=eps / 10, iterations=40), network, x, y).images
    figures = [accuracy(network, a, y) for a in (noise, found, pgd)]
    record_property("accuracies under noise, NAttack, PGD", figures)
    assert figures[0] - 10 > figures[1] >= figures[2] - 4


def test_nattack_climbs_a_linear_model(generator):
    model, eps = Linear(generator), 0.1
    x = images(generator, 6)
    with torch.no_grad():
        y = model(x).logits.argmax(1)
        model.bias[0] += 100 * torch.eye(2, dtype=torch.float64)[0]  # nothing is ever misclassified
        x, y = x[y == 0], y[y == 0]
        w = (model.weight[0, 1] - model.weight[0, 0]).view(1, 1, 4, 4)

        def gain(images):
            return ((images - x) * w).sum((1, 2, 3))

        found = run_attack(config.NAttack(eps=eps, queries=6000, samples=60), model, x, y, (1.0,), generator).images
        best = (x + eps * w.sign()).clamp(0, 1)
        assert (gain(found) > 0.7 * gain(best)).all()


def test_more_queries_never_help_the_network():
    network, (x, y) = robust("AT"), examples(100)
    accuracies = [accuracy(network, run(config.Square(eps=EPS, queries=n), network, x, y).images, y) for n in (1, 30, 300)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > accuracies[2]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_most_harmful_of_several_noises_is_kept(norm):
    network, (x, y) = robust("standard"), examples(200)
    eps = {"linf": 0.4, "l2": 2.0, "l1": 9.0}[norm]
    once, often = (run(config.Noise(eps=eps, norm=norm, restarts=n), network, x, y).images for n in (1, 10))
    assert accuracy(network, often, y) < accuracy(network, once, y) - 2
    assert length(often - x, norm).max() <= eps + 1e-4


def test_more_boundary_steps_come_closer():
    network, (x, y) = robust("AT"), examples(20)
    near, far = (run(config.Boundary(eps=1.0, iterations=n), network, x, y).distance for n in (1000, 20))
    assert (near <= far + 1e-6).all()
    assert near.median() < 0.9 * far.median()


KEY = "0123456789abcdef"


def test_a_transferred_attack_equals_the_attack_on_the_source():
    target, source, (x, y) = robust("AT"), robust("standard"), examples(100)
    attack = config.PGD(eps=EPS, step=0.03, iterations=10)
    spec = config.Transfer(source=KEY, checkpoint="best", attack=attack)
    sources = {(KEY, "best"): SourceNetwork(source, config.NoModule())}
    found = run_attack(spec, target, x, y, (1.0,), torch.Generator().manual_seed(0), sources).images
    assert torch.equal(found, run(attack, source, x, y).images)
    assert accuracy(target, run(attack, target, x, y).images, y) < accuracy(target, found, y)
    with pytest.raises(ValueError, match=r"attack\.source = 0123456789abcdef/last: .* not loaded; loaded: .*/best"):
        run_attack(spec.model_copy(update={"checkpoint": "last"}), target, x, y, (1.0,), torch.Generator(), sources)


class Masked(nn.Module):
    """Logits times 1,000: where the prediction is right, the softmax is 1 and the cross-entropy and its gradient are 0."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        outputs = self.network(x)
        return outputs._replace(logits=1000 * outputs.logits)


def test_black_box_attacks_break_a_network_with_hidden_gradients():
    network, (x, y) = robust("standard"), examples(200)
    masked = Masked(network).eval()

    def left(spec):
        return accuracy(masked, run(spec, masked, x, y).images, y)

    step = {"step": 0.03, "iterations": 20}
    fooled = left(config.PGD(eps=EPS, **step, start="zero"))
    assert fooled > 80
    specs: list[Any] = [
        config.AutoPGD(eps=EPS, iterations=20, loss="dlr"),
        config.AutoPGD(eps=EPS, iterations=20, loss="targeted-dlr", targets=2),
        config.MD(eps=EPS, iterations=20, first=10),
        config.Square(eps=EPS, queries=300),
        config.FAB(eps=EPS, iterations=10),
        config.AvgPGD(eps=EPS, **step, samples=2, radius=0.1),
    ]
    found = {f"{spec.name} {getattr(spec, 'loss', '')}": left(spec) for spec in specs}
    assert {name: share for name, share in found.items() if share > fooled - 50} == {}


@every_training
def test_margin_decomposition_is_no_weaker_than_pgd(training, record_property):
    network, (x, y) = robust(training), examples()
    md = accuracy(network, run(config.MD(eps=EPS, iterations=20, first=10), network, x, y).images, y)
    spec = config.PGD(eps=EPS, step=EPS / 8, iterations=20, restarts=2)
    pgd = accuracy(network, run(spec, network, x, y).images, y)
    record_property("accuracies", (md, pgd))
    assert md <= pgd + 0.5
