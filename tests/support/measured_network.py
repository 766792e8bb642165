"""Small networks and images to measure."""

from typing import Any

import torch
from torch import Tensor

from trainables import config
from trainables.attacks import run_attack
from trainables.data import Examples
from trainables.joint import attack_weights
from trainables.measures import Subject
from trainables.models import build_model
from trainables.outputs import Outputs
from trainables.rng import generator

RESNET = config.Model(name="resnet-10", width=4)
DIGITS = config.DATASETS["digits"]


def examples(n: int = 40, seed: int = 0) -> Examples:
    """Return random images and labels with equally many examples of each class."""
    draws = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 1, 8, 8), generator=draws, dtype=torch.uint8)
    return Examples(images, (torch.arange(n) % 10)[torch.randperm(n, generator=draws)])


def subject(module: config.Module | None = None, model: config.Model = RESNET, n: int = 40, **settings: Any) -> Subject:
    """Build a network whose batch statistics are those of the measured images, so that its features vary."""
    module = config.TrialConfig(data=config.Data(dataset="digits"), model=model, module=module or config.NoModule()).module
    network = build_model(model, module, DIGITS, seed=0)
    data = examples(n)
    network.draw_from(torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.train()(images(data))

    def weights(attack: config.Attack) -> tuple[float, ...]:
        return attack_weights(attack.aim, module)

    return Subject(network.eval(), data, weights, seed=3, **settings)


def images(data: Examples) -> Tensor:
    return data.images.float() / 255


def attacked(ours: Subject, attack: config.Attack, stream: str = "") -> Tensor:
    """Attack the subject's images at the final prediction."""
    x, y = images(ours.examples), ours.examples.labels
    return run_attack(attack, ours.network, x, y, (1.0,), generator(ours.seed, stream)).images


def outputs(ours: Subject, x: Tensor | None = None) -> Outputs:
    """Return the outputs of the subject's network at its images, or at x."""
    with torch.no_grad():
        return ours.network(images(ours.examples) if x is None else x)
