"""Trials that the configuration allows: modules x objectives x training attacks on one network, and modules x models.

`make test` takes as many as let every two of them meet, `make test-all` every one.
"""

from itertools import product

import pytest
import torch
from pydantic import ValidationError

from tests.support.contract_cases import EVERY_MODULE, spec, specs
from tests.support.pairwise import pairwise
from trainables import config
from trainables.checkpoint import pack_state, unpack_state
from trainables.config.terms.registry import MODEL
from trainables.trial import Trial

ATTACKS = ["none", *specs(config.TrainingAttack)]
OBJECTIVES = list(specs(config.Objective))
MODELS = list(MODEL.entries)

#: The narrowest that has room for what a method counts: classes, top-k, winners.
NARROW = {"lenet": 3}


def sensible(objective, attack):
    """Whether the two belong together: the same rules as the configuration's, in the other direction."""
    if objective == "standard" or attack == "none":
        return attack == "none" and objective in {"standard", "pcl"}
    return attack != "adversarial-interpolation" or objective == "at"


def configuration(module, objective, attack, model="resnet-10", seed=0):
    settings = {} if module == "none" else {"positions": ("P1",)}
    if module == "cifs":
        settings["probes"] = ("mlp",)
    later = {"warmup": 0} if objective == "pcl" else {}
    few = {"iterations": 2} if "iterations" in (specs(config.TrainingAttack) | {"none": config.AT})[attack].model_fields else {}
    return config.TrialConfig(
        data=config.Data(dataset="digits", validation=0.1, crop=1, flip=False, examples=20),
        model=config.Model(name=model, width=NARROW.get(model, 2)),
        module=spec(config.Module, module, **settings),
        objective=spec(config.Objective, objective, **later),
        attack=None if attack == "none" else spec(config.TrainingAttack, attack, **few),
        training=config.Training(epochs=3, batch_size=18, lr=0.02),
        selection=config.Selection(attack=config.Natural()),
        seed=seed,
    )


def start(*names, **settings):
    return Trial(configuration(*names, **settings), config.Runtime(device="cpu", threads=1))


def check(*names, **settings):
    """One epoch learns with every weight; one more is the same bits from the start and from a saved state."""
    trial, again = start(*names, **settings), start(*names, **settings)
    before = {name: tensor.clone() for name, tensor in trial._network.named_parameters()}
    row, other = trial.step(), again.step()
    assert row["train_loss"] == other["train_loss"]
    assert torch.isfinite(torch.tensor(row["train_loss"]))
    still = [name for name, tensor in trial._network.named_parameters() if torch.equal(tensor, before[name])]
    assert not still
    resumed = start(*names, **settings)
    resumed.load_state_dict(unpack_state(pack_state(again.state_dict())))
    assert trial.step()["train_loss"] == resumed.step()["train_loss"]
    ours, theirs = trial.weights(), resumed.weights()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not torch.equal(ours["fc.weight"], start(*names, seed=1, **settings).weights()["fc.weight"])


SENSIBLE = [case for case in product(EVERY_MODULE, OBJECTIVES, ATTACKS) if sensible(*case[1:])]


@pairwise("module, objective, attack", SENSIBLE)
def test_what_makes_sense_trains_and_goes_on(module, objective, attack):
    check(module, objective, attack)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("module", EVERY_MODULE)
def test_every_model_trains_with_every_module(model, module):
    check(module, "at", "pgd", model=model)


@pytest.mark.parametrize(("objective", "attack"), [case for case in product(OBJECTIVES, ATTACKS) if not sensible(*case)])
def test_what_makes_no_sense_is_refused_with_a_reason(objective, attack):
    with pytest.raises(ValidationError, match=r"attack must|objective must"):
        configuration("none", objective, attack)
