"""What training by every objective promises, its own weights and optimisers included, on networks with every module."""

from unittest.mock import patch

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.support.contract_cases import DIGITS, EVERY_MODULE, RESNET, batch, module_spec, seeded, spec, specs
from trainables import config
from trainables.checkpoint import pack_state, unpack_state
from trainables.models import build_model
from trainables.objectives import build_learner

EVERY_OBJECTIVE = list(specs(config.Objective))
STEPS = 3  # an epoch

every_objective = pytest.mark.parametrize("name", EVERY_OBJECTIVE)
every_module = pytest.mark.parametrize("module", EVERY_MODULE)


def learner(name, module, seed=0):
    """With whatever the objective leaves to later epochs from the first one on."""
    cls = specs(config.Objective)[name]
    settings = {"warmup": 0} if "warmup" in cls.model_fields else {}
    trial = config.TrialConfig(
        data=config.Data(dataset="digits"),
        model=RESNET,
        module=module_spec(module),
        objective=spec(config.Objective, name, **settings),
        attack=None if name == "standard" else config.TrainingPGD(eps=0.1, step=0.05, iterations=1),
        training=config.Training(lr=0.02, schedule=config.OneCycle()),
        seed=seed,
    )
    network = seeded(build_model(trial.model, trial.module, DIGITS, seed).train())
    return build_learner(trial, network, STEPS)


def learn(ours):
    x, y = batch(16)
    x_adv = (x + 0.05 * torch.where(torch.arange(8) % 2 == 0, 1, -1)).clamp(0, 1)
    return ours.learn(x, x_adv, y)


def epoch(ours):
    for _ in range(STEPS):
        result = learn(ours)
    ours.end_epoch()
    return result


def numbers(ours):
    return {**ours.network.state_dict(), **{f"own.{n}": t for n, t in ours.own.state_dict().items()}}


@every_objective
@every_module
def test_a_step_changes_every_weight(name, module):
    ours = learner(name, module)
    parameters = [(n, p) for root in (ours.network, ours.own) for n, p in root.named_parameters()]
    before = [p.detach().clone() for _, p in parameters]
    value, outputs = learn(ours)
    assert value.shape == (16,)
    assert value.isfinite().all()
    assert outputs.logits.shape == (16, 10)
    for (parameter_name, p), old in zip(parameters, before, strict=True):
        assert p.isfinite().all(), parameter_name
        assert not torch.equal(p, old), parameter_name


@every_objective
@every_module
def test_a_seed_decides_every_bit(name, module):
    one, other, third = learner(name, module), learner(name, module), learner(name, module, seed=1)
    for ours in (one, other, third):
        epoch(ours)
    assert all(torch.equal(a, b) for a, b in zip(numbers(one).values(), numbers(other).values(), strict=True))
    assert not torch.equal(one.network.fc.weight, third.network.fc.weight)
    assert all(not torch.equal(a, b) for a, b in zip(one.own.parameters(), third.own.parameters(), strict=True) if a.dim() > 1)


@every_objective
@every_module
def test_going_on_from_a_saved_state_is_going_on(name, module):
    one, other = learner(name, module), learner(name, module, seed=1)
    epoch(one)
    state = unpack_state(pack_state({"learner": one.state_dict(), "network": one.network.state_dict()}))
    other.network.load_state_dict(state["network"])
    other.load_state_dict(state["learner"])
    for ours in (one, other):
        seeded(ours.network)
        ours.last = epoch(ours)
    assert torch.equal(one.last.value, other.last.value)
    ours, theirs = numbers(one), numbers(other)
    assert all(torch.equal(ours[n], theirs[n]) for n in ours)
    assert one.lr == other.lr
    assert one.epoch == other.epoch == 2


@every_objective
def test_every_rate_follows_the_schedule(name):
    ours = learner(name, "none")
    first = {n: o.param_groups[0]["lr"] for n, o in ours.optimizers.items()}
    epoch(ours)
    ratios = [o.param_groups[0]["lr"] / first[n] for n, o in ours.optimizers.items()]
    assert ratios == pytest.approx([7.0] * len(ratios))  # a rate of one cycle begins at half a batch, then 3 more follow


@every_objective
def test_examples_are_learnt(name):
    """A few steps on one batch let the network predict it better."""
    ours = learner(name, "none")
    x, y = batch(16)

    def quality():
        with torch.no_grad():
            return torch.nn.functional.cross_entropy(ours.network.train()(x, y).logits, y).item()

    before = quality()
    for _ in range(5):
        epoch(ours)
    assert quality() < before


@every_objective
@every_module
def test_a_step_never_waits_for_the_device(name, module):
    # Weights that hold no values cannot be moved; they are where they should be.
    with FakeTensorMode(), patch.object(nn.Module, "to", lambda self, device: self):
        ours = learner(name, module)
        learn(ours)
