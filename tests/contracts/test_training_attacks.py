"""What every training attack promises, on networks with every module."""

import torch

from advsweep.testing import TrainingAttackContract
from advsweep.testing.cases import batch, named
from tests.support.contract_cases import Registered, spec, specs
from trainables import config
from trainables.attacks import Adversarial, training_attack
from trainables.models import build_model


class TestTrainingAttacks(Registered, TrainingAttackContract):
    def specs(self):
        return [spec(config.TrainingAttack, name) for name in specs(config.TrainingAttack)]

    def one_by_one(self, spec):
        """One moves a batch by optimal transport, the other mirrors it."""
        return spec.name not in {"feature-scattering", "adversarial-interpolation"}


def test_without_an_attack_the_images_come_back():
    x, y = batch(2)
    module = named("none")
    model = build_model(config.Model(name="resnet-10", width=4), module, config.DATASETS["digits"], seed=0)
    assert training_attack(None, module, model, x, y, torch.Generator(), 1) == Adversarial(x, None)
