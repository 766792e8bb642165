"""Plugins that each break one promise, and their inherited contract tests; ``test_broken_plugins`` runs them."""

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import nn

from advsweep import testing
from tests.support.sample_plugins import INFO, SmallModel, half
from trainables import config, plugins


class Beyond(plugins.Linf, plugins.Scored):
    sees = plugins.Sees.SCORES
    name: Literal["beyond"] = "beyond"


@plugins.attack(Beyond)
def beyond(spec, case):
    return (0.5 + (case.x - 0.5) * (1 - 4 * spec.eps)).clamp(0, 1)


class TestBeyond(testing.AttackContract):
    spec = Beyond(eps=0.1)


class Elsewhere(plugins.Linf, plugins.Scored):
    sees = plugins.Sees.SCORES
    name: Literal["elsewhere"] = "elsewhere"


@plugins.attack(Elsewhere)
def elsewhere(spec, case):
    return (case.x + spec.eps * torch.rand_like(case.x)).clamp(0, 1)


class TestElsewhere(testing.AttackContract):
    spec = Elsewhere(eps=0.1)


class Idle(plugins.Linf, plugins.Scored):
    sees = plugins.Sees.SCORES
    name: Literal["idle"] = "idle"


@plugins.attack(Idle)
def idle(spec, case):
    return case.x


class TestIdle(testing.AttackContract):
    spec = Idle(eps=0.1)


class Far(plugins.Joint):
    name: Literal["far"] = "far"


@plugins.training_attack(Far)
def far(spec, batch):
    return 1 - batch.x


class TestFar(testing.TrainingAttackContract):
    spec = Far(eps=0.1)


class Shaky(plugins.Silent):
    name: Literal["shaky"] = "shaky"
    positions: tuple[str, ...] = ("P1",)


@plugins.module(Shaky)
class ShakyModule(plugins.InsertedModule):
    def __init__(self, spec, index, channels, classes):
        super().__init__(spec, index, channels, classes)
        self.idle = nn.Linear(channels, 1)

    def forward(self, z, y=None):
        return plugins.Insertion(z * self.uniform(1, like=z), None)


class TestShaky(testing.ModuleContract):
    spec = Shaky()


class Mean(plugins.Trained):
    name: Literal["mean"] = "mean"


@plugins.objective(Mean)
def mean(spec, model, x, x_adv, y, weights):
    outputs = model(x_adv, y)
    return plugins.Loss(nn.functional.cross_entropy(outputs.logits, y), outputs)


class TestMean(testing.ObjectiveContract):
    spec = Mean()


class Share(plugins.MeasureSpec):
    name: Literal["share"] = "share"


@plugins.measure(Share)
def share(spec, subject):
    return {"share": np.array([0.0]) / np.array([np.nan])}


class TestShare(testing.MeasureContract):
    spec = Share()


@plugins.model("shortcut", (1, 1))
class Shortcut(SmallModel):
    def extract(self, x, y, trace):
        return self.visit("block1.1", self.one(x).relu(), y, trace)


class TestShortcut(testing.ModelContract):
    spec = config.Model(name="shortcut", width=4)


@plugins.data("short", INFO._replace(test=60))
def short(name, data_dir, download):
    return half(name, data_dir, download)


class TestShort(testing.DatasetContract):
    spec = config.Data(dataset="short")


class Forgetful(plugins.Trained):
    attacked: ClassVar[bool | None] = None
    name: Literal["forgetful"] = "forgetful"


@plugins.objective(Forgetful)
class ForgetfulLearner(plugins.Learner):
    def __init__(self, trial, network, steps_per_epoch):
        super().__init__(trial, network, steps_per_epoch)
        self.seen = 0

    def loss(self, x, x_adv, y, targets):
        outputs = self.network(x, y)
        self.seen += 1
        return plugins.Loss(nn.functional.cross_entropy(outputs.logits, y, reduction="none") * self.seen, outputs)


class TestForgetful(testing.LearnerContract):
    spec = Forgetful()
