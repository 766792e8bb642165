"""A plugin of every kind, and tiny trials that use them."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables import config
from trainables.attacks.methods.pgd import pgd
from trainables.data.digits import digits
from trainables.objectives.loss import cross_entropy
from trainables.outputs import heads
from trainables.plugins import (
    Batch,
    Case,
    DatasetInfo,
    Examples,
    Expected,
    InsertedModule,
    Insertion,
    Joint,
    Learner,
    Linf,
    Loss,
    Network,
    Predicting,
    Trace,
    Trained,
    attack,
    data,
    initialise_as_he,
    model,
    module,
    objective,
    training_attack,
)

RUNTIME = config.Runtime(device="cpu")
INFO = DatasetInfo(10, 1, 8, 100, 50)


class Dim(Predicting):
    name: Literal["dim"] = "dim"
    positions: tuple[str, ...] = ("P1",)
    views: ClassVar[tuple[str, ...]] = ()
    beta: float = 0.5
    by: float = 0.9


class DimModule(InsertedModule):
    def __init__(self, spec: Dim, index: int, channels: int, classes: int) -> None:
        super().__init__(spec, index, channels, classes)
        self.by = spec.by
        self.fc = nn.Linear(channels, classes)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        return Insertion(self.by * z, self.fc(z.mean((2, 3))))

    @staticmethod
    def head_weights(spec: Dim) -> tuple[float, ...]:
        return (1.0, *[spec.beta] * len(spec.positions))


class Margin(Trained):
    name: Literal["margin"] = "margin"
    weight: float = 1.0


def margin(spec: Margin, model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor, weights: tuple[float, ...]) -> Loss:
    outputs = model(x_adv, y)
    losses = [w * cross_entropy(z, y) for w, z in zip(weights, heads(outputs), strict=True)]
    return Loss(spec.weight * torch.stack(losses).sum(0), outputs)


class Twice(Trained):
    name: Literal["twice"] = "twice"
    attacked: ClassVar[bool | None] = None


class TwiceLearner(Learner):
    def loss(self, x: Tensor, x_adv: Tensor, y: Tensor, targets: Tensor | None) -> Loss:
        outputs = self.network(x, y)
        return Loss(2 * cross_entropy(outputs.logits, y), outputs)


class Corner(Joint):
    name: Literal["corner"] = "corner"


def corner(spec: Corner, batch: Batch) -> Tensor:
    sign = torch.randint(2, batch.x.shape, generator=batch.generator, device=batch.x.device) * 2 - 1
    moved: Tensor = batch.x + spec.eps * sign
    return moved.clamp(0, 1)


class Blur(Linf, Expected):
    name: Literal["blur"] = "blur"
    times: int = 1


def blur(spec: Blur, case: Case) -> Tensor:
    softened = F.avg_pool2d(case.x, 3, 1, 1, count_include_pad=False)
    x = case.x + (softened - case.x).clamp(-spec.eps, spec.eps)
    steps: dict[str, Any] = {"eps": spec.eps, "step": spec.eps / 2, "iterations": spec.times, "generator": case.generator}
    found = pgd(case.model, case.x, case.y, objective=case.objective(lambda z, y: cross_entropy(z, y)), **steps)
    return torch.where(case.network(x).logits.argmax(1)[:, None, None, None] != case.y[:, None, None, None], x, found)


class SmallModel(Network):
    def __init__(self, model: config.Model, info: DatasetInfo) -> None:
        super().__init__(model)
        self.one, self.two = nn.Conv2d(info.channels, model.width, 3), nn.Conv2d(model.width, model.width, 3)
        self.channels = {"block1.1": model.width, "block2.1": model.width}
        self.fc = nn.Linear(model.width, info.classes)
        initialise_as_he(self)

    def extract(self, x: Tensor, y: Tensor | None, trace: Trace) -> Tensor:
        z = self.visit("block1.1", F.relu(self.one(x)), y, trace)
        return self.visit("block2.1", F.relu(self.two(z)), y, trace)


def half(name: str, data_dir: str, download: bool) -> tuple[Examples, Examples]:
    train, test = digits(name, data_dir, download)
    return train[torch.arange(INFO.train)], test[torch.arange(INFO.test)]


PLUGINS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "module": (module(Dim), DimModule, {"module": {"name": "dim", "by": 0.5}}),
    "objective": (objective(Margin), margin, {"objective": {"name": "margin"}}),
    "learner": (objective(Twice), TwiceLearner, {"objective": {"name": "twice"}, "attack": None}),
    "training-attack": (training_attack(Corner), corner, {"attack": {"name": "corner", "eps": 0.1}}),
    "attack": (attack(Blur), blur, {"selection": {"attack": {"name": "blur", "eps": 0.1}}}),
    "model": (
        model("small", (1, 1)),
        SmallModel,
        {"model": {"name": "small", "width": 8}, "module": {"name": "cas", "positions": ["all"]}},
    ),
    "data": (data("half", INFO), half, {"data": {"dataset": "half", "validation": 0.2}}),
}
every_plugin = pytest.mark.parametrize("kind", PLUGINS)

TINY_TRIAL = {
    "data": {"dataset": "digits", "examples": 64, "validation": 0.2, "crop": 1, "flip": False},
    "model": {"name": "resnet-10", "width": 4},
    "attack": {"name": "pgd", "eps": 0.1, "step": 0.05, "iterations": 2},
    "training": {"epochs": 2, "batch_size": 16},
    "selection": {"attack": {"name": "fgsm", "eps": 0.1}},
}


def tiny(settings: Mapping[str, Any]) -> config.TrialConfig:
    return config.TrialConfig.model_validate_json(json.dumps({**TINY_TRIAL, **settings}))


def registered(kind: str) -> config.TrialConfig:
    """Register the plugin of this kind and return a tiny trial that uses it."""
    register, made, settings = PLUGINS[kind]
    register(made)
    return tiny(settings)
