"""Random streams of stochastic modules: resuming continues them, and evaluations do not change them."""

import io

import pytest
import torch

from trainables import config
from trainables.trial import Trial

ATTACK = config.PGD(eps=0.1, step=0.05, iterations=2)
MODULES = [config.FSR(), config.FSR(separation="random"), config.SAP()]


def trial(module):
    spec = config.TrialConfig(
        data=config.Data(dataset="digits"),
        model=config.Model(name="resnet-10", width=2),
        module=module,
        attack=config.TrainingPGD(eps=0.1, step=0.05, iterations=2),
        training=config.Training(epochs=2, batch_size=256, lr=0.05),
        selection=config.Selection(attack=ATTACK),
    )
    return Trial(spec, config.Runtime(device="cpu", threads=1))


def bits(trial):
    stored = io.BytesIO()
    torch.save(trial.state_dict(), stored)
    stored.seek(0)
    return torch.load(stored)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == other


every_module = pytest.mark.parametrize("module", MODULES, ids=["fsr", "fsr-random", "sap"])


@every_module
def test_a_resumed_training_is_the_uninterrupted_one(module):
    whole = trial(module)
    first = bits(whole)
    whole.step()
    half = bits(whole)
    assert not torch.equal(half["generators"]["module"], first["generators"]["module"])
    whole.step()
    resumed = trial(module)
    resumed.load_state_dict(half)
    resumed.step()
    assert same(bits(resumed), bits(whole))


@every_module
def test_evaluations_are_repeatable_and_do_not_change_the_training(module):
    ours = trial(module)
    ours.step()
    before = bits(ours)
    one, other = (ours.evaluate(ATTACK, ours.weights(), complete=True).ranks for _ in range(2))
    ours._select()
    assert same(bits(ours), before)
    assert all((one[head] == other[head]).all() for head in config.heads(module))
    assert one.keys() == set(config.heads(module))
