"""Training attacks in evaluations return the images that they return in training."""

import pytest
import torch
from pydantic import ValidationError

from tests.support.trained_digits import MODEL, examples
from trainables import config
from trainables.attacks import run_attack, training_attack
from trainables.joint import attack_weights
from trainables.models import build_model

EPS = {"eps": 0.1}
CAS = config.CAS(positions=("block4.1", "block3.1"))


@pytest.mark.parametrize(
    "attack",
    [
        config.TrainingPGD(**EPS, step=0.05, iterations=3),
        config.TrainingPGD(**EPS, step=0.05, iterations=3, beta_atk="0"),
        config.InfoFeature(**EPS, step=0.05, iterations=3),
        config.FeatureScattering(**EPS),
        config.AdversarialInterpolation(**EPS),
    ],
    ids=lambda attack: f"{attack.name}-{getattr(attack, 'beta_atk', '')}",
)
@pytest.mark.parametrize("module", [config.NoModule(), CAS], ids=["none", "cas"])
def test_images_are_the_trainings(attack, module):
    ours, (x, y) = build_model(MODEL, module, config.DATASETS["digits"], seed=0), examples(20)
    spec, weights = config.AsTraining(attack=attack), attack_weights(None, module)
    found = run_attack(spec, ours, x, y, weights, torch.Generator().manual_seed(3)).images
    expected = training_attack(attack, module, ours, x, y, torch.Generator().manual_seed(3), epoch=1).images
    assert torch.equal(found, expected)
    assert not torch.equal(found, x)


def test_attacks_that_depend_on_the_epoch_are_refused():
    with pytest.raises(ValidationError, match=r"attack.name must not be friendly, which depends on the epoch"):
        config.AsTraining(attack=config.Friendly(**EPS, step=0.05, iterations=3))
