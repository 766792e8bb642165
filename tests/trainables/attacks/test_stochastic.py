"""Attacks on a network whose answers are noisy: what decides is their mean, never a single one."""

import pytest
import torch
from torch import nn

from tests.support.trained_digits import examples, robust
from trainables import config
from trainables.attacks import run_attack
from trainables.attacks.building_blocks.surrogate import averaged, errs, predict
from trainables.config.module import AVERAGED
from trainables.outputs import Outputs

EPS = 0.1
N = 200


class Noisy(nn.Module):
    """Scores the true class 0 by a margin of 0.5 before an attack and of -0.5 after the best one, plus normal ``noise``.

    At a margin of 0.5 a single answer is wrong in 31 % of the cases, and in 20 % with the noise that attacks by scores get.
    """

    draws = True

    def __init__(self, noise=1.0):
        super().__init__()
        self.noise, self.generator = noise, torch.Generator().manual_seed(3)

    def forward(self, x):
        risen = ((x - 0.5) / EPS).mean((1, 2, 3)).clamp(max=1)
        margin = 0.5 - risen + self.noise * torch.randn(len(x), generator=self.generator)
        others = torch.zeros(len(x), 3) - torch.tensor([0.0, 1, 2])
        logits = 3 * torch.cat([margin[:, None], others], 1)
        return Outputs(logits, (), logits, x)


ATTACKS = [
    config.AutoPGD(eps=EPS, iterations=10, eot=5),
    config.AutoPGD(eps=EPS, iterations=10, eot=5, loss="dlr", restarts=2),
    config.AutoPGD(eps=EPS, iterations=10, eot=5, loss="targeted-dlr", targets=2),
    config.AutoAttack(eps=EPS, iterations=10, version="rand"),
    config.AutoAttack(eps=EPS, iterations=10, version="apgd-square", queries=50),
    config.PGD(eps=EPS, step=EPS / 4, iterations=10, eot=5, restarts=3),
    config.MD(eps=EPS, iterations=10, first=2, eot=5),
    config.Square(eps=EPS, queries=600, restarts=2),
    config.NAttack(eps=EPS, queries=6000, samples=100, step=0.2),
]


@pytest.mark.parametrize("spec", ATTACKS, ids=lambda spec: f"{spec.name} {getattr(spec, 'loss', getattr(spec, 'version', ''))}")
def test_no_example_is_left_alone_for_one_wrong_answer(spec):
    """20 or 31 % would be, if a single answer decided whether there is anything left to attack."""
    network = Noisy(0.6 if spec.sees == "scores" else 1.0)
    x, y = torch.full((N, 1, 4, 4), 0.5), torch.zeros(N, dtype=torch.int64)
    images = run_attack(spec, network, x, y, (1.0,), torch.Generator().manual_seed(0), complete=False).images
    with torch.no_grad():
        mean = torch.stack([network(images).logits.softmax(1) for _ in range(400)]).mean(0)
    assert errs(mean, y).double().mean() >= 0.95


class Resized(nn.Module):
    """Shows a network its images at a random size and place, drawn once for a batch."""

    draws = True

    def __init__(self, network):
        super().__init__()
        self.network, self.generator = network, torch.Generator().manual_seed(1)

    def forward(self, x):
        size, *place = (int(u * n) for u, n in zip(torch.rand(3, generator=self.generator), (4, 99, 99), strict=True))
        size += 5
        left, top = (p % (9 - size) for p in place)
        small = nn.functional.interpolate(x, size=(size, size), mode="bilinear")
        return self.network(nn.functional.pad(small, (left, 8 - size - left, top, 8 - size - top)))


@pytest.mark.slow
def test_autoattack_is_no_weaker_than_pgd_on_randomly_resized_images(record_property):
    """It left 89 % where PGD left 76, as long as a single draw said which image is best."""
    network, (x, y) = Resized(robust("AT")).eval(), examples(150)
    right = []
    for spec in (
        config.PGD(eps=0.1, step=0.01, iterations=20, eot=10),
        config.AutoAttack(eps=0.1, version="rand", iterations=20),
    ):
        images = run_attack(spec, network, x, y, (1.0,), torch.Generator().manual_seed(0), complete=False).images
        right.append(100 * (~errs(predict(network, images).exp(), y)).double().mean().item())
    record_property("right under PGD-20 and AutoAttack", right)
    assert right[1] <= right[0] + 3


def test_a_prediction_is_the_mean_softmax():
    network, x = Noisy(), torch.full((N, 1, 4, 4), 0.5)
    assert averaged(network) == AVERAGED
    found = predict(network, x)
    network.generator.manual_seed(3)
    answers = torch.stack([network(x).logits.softmax(1) for _ in range(AVERAGED)])
    torch.testing.assert_close(found.exp(), answers.mean(0))
    network.generator.manual_seed(3)
    torch.testing.assert_close(predict(network, x, 3).exp(), answers[:3].mean(0))


def test_the_authors_rand_version_is_two_averaged_attacks():
    """fra31/auto-attack, AutoAttack(version="rand"): APGD-CE and APGD-DLR, one restart of 100 steps, EOT 20."""
    shared = {"eps": EPS, "iterations": 100, "restarts": 1, "eot": 20}
    assert config.AutoAttack(eps=EPS, version="rand").parts == (
        config.AutoPGD(**shared),
        config.AutoPGD(**shared, loss="dlr"),
    )
