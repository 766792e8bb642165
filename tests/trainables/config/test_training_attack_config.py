"""Training attacks that a configuration accepts, and keys that they do not change."""

import pytest
from pydantic import TypeAdapter, ValidationError

from trainables import config
from trainables.config import CAS, CIFS, CW, FGSM, PGD, Natural, NoModule, TrialConfig, attack_key, trial_key

ADAPTER = TypeAdapter(config.TrainingAttack)
STEPS = {"eps": 0.1, "step": 0.02, "iterations": 5}


@pytest.mark.parametrize(
    ("attack", "key"),
    [
        (Natural(), "1ce9407f29f00ec5"),
        (FGSM(eps=8 / 255), "76c6d20e7f5d9082"),
        (PGD(eps=8 / 255, step=0.8 / 255, iterations=20), "9f6c4b24f1474f45"),
        (CW(eps=8 / 255, step=0.8 / 255, iterations=20), "4bab74c087b26df8"),
    ],
)
def test_evaluations_keep_their_keys(attack, key):
    assert attack_key(attack) == key


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "pgd", **STEPS, "loss": "kl", "start": "zero"}, "no gradient at the image itself"),
        ({"name": "pgd", **STEPS, "eps": 1.5}, "at most 1 with norm=linf"),
        ({"name": "pgd", **STEPS, "restarts": 2}, "restarts"),
        ({"name": "pgd", **STEPS, "beta_atk": "2"}, "'own' or '0'"),
        ({"name": "apgd", "eps": 1.5}, "less than or equal to 1"),
        ({"name": "friendly", **STEPS, "taus": (0, 1)}, "one more than the 2 milestones"),
        ({"name": "friendly", **STEPS, "milestones": (50, 50)}, "must rise"),
        ({"name": "infofeature", **STEPS, "distance": "linf"}, "cosine"),
    ],
)
def test_invalid_settings_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python(fields)


def test_an_l2_ball_may_be_larger_than_a_pixels_range():
    assert ADAPTER.validate_python({"name": "pgd", **STEPS, "eps": 1.5, "norm": "l2"}).eps == 1.5


def test_labels_of_an_attack_are_for_at_alone():
    attack = config.AdversarialInterpolation(eps=8 / 255)
    assert TrialConfig(attack=attack).attack == attack
    for objective in (config.AT(label_smoothing=0.5), config.TRADES()):
        with pytest.raises(ValidationError, match="makes labels"):
            TrialConfig(attack=attack, objective=objective)


def test_equal_trials_are_equal():
    """Where the modules count for nothing, aiming at them or not is the same."""

    def key(module, beta_atk):
        return trial_key(TrialConfig(module=module, attack=config.TrainingPGD(**STEPS, beta_atk=beta_atk)))

    for module in (NoModule(), CAS(beta=0.0)):
        assert key(module, "own") == key(module, "0")
    for aimed_at in (CAS(), CIFS()):
        assert key(aimed_at, "own") != key(module, "0")


@pytest.mark.parametrize("name", ["apgd", "fgsm-rs", "feature-scattering", "adversarial-interpolation"])
def test_a_configuration_survives_json(name):
    trial = TrialConfig(attack=ADAPTER.validate_python({"name": name, "eps": 8 / 255}))
    assert TrialConfig.model_validate_json(trial.model_dump_json()) == trial


def test_a_transfer_draws_the_same_from_every_source():
    sources = [config.Transfer(source=16 * digit, attack=PGD(**STEPS)) for digit in "01"]
    assert attack_key(sources[0]) != attack_key(sources[1])
    assert config.evaluation_stream(sources[0]) == config.evaluation_stream(sources[1])
