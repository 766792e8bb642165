"""What training by every objective promises, its own weights and optimisers included, on networks with several modules."""

from typing import ClassVar
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import cross_entropy

from advsweep.testing.cases import DIGITS, RESNET, adversarial, batch, named, seeded
from advsweep.testing.contract import Contract, same
from trainables import config
from trainables.checkpoint import pack_state, unpack_state
from trainables.models import build_model
from trainables.objectives import Learner, Loss, build_learner
from trainables.plugins.promises import check_loss, global_generators_untouched

#: Batches of an epoch.
STEPS = 3


class LearnerContract(Contract):
    """Tests of an objective that is a class of ``Learner``; what it does after some epochs it should do from the first on."""

    spec: ClassVar[config.Objective]

    def learner(self, spec: config.Objective, module: str = "none", seed: int = 0) -> Learner:
        """Build the learner of a small network with the module of that name."""
        trial = config.TrialConfig(
            data=config.Data(dataset="digits"),
            model=RESNET,
            module=named(module),
            objective=spec,
            attack=None if spec.attacked is False else config.TrainingPGD(eps=0.1, step=0.05, iterations=1),
            training=config.Training(lr=0.02, schedule=config.OneCycle()),
            seed=seed,
        )
        return build_learner(trial, seeded(build_model(trial.model, trial.module, DIGITS, seed).train()), STEPS)

    def test_a_step_changes_every_weight(self, spec: config.Objective, module: str) -> None:
        learner = self.learner(spec, module)
        parameters = [(n, p) for root in (learner.network, learner.own) for n, p in root.named_parameters()]
        before = [p.detach().clone() for _, p in parameters]
        with global_generators_untouched():
            result = _learn(learner)
        check_loss(result, 16, DIGITS.classes)
        for (name, p), old in zip(parameters, before, strict=True):
            assert p.isfinite().all(), f"{name} is no longer finite"
            assert not torch.equal(p, old), f"{name} does not change"

    def test_a_seed_decides_every_bit(self, spec: config.Objective, module: str) -> None:
        one, other, third = (self.learner(spec, module, seed) for seed in (0, 0, 1))
        for learner in (one, other, third):
            _epoch(learner)
        assert same(_numbers(one), _numbers(other)), "the same seed must train the same weights"
        assert not torch.equal(one.network.fc.weight, third.network.fc.weight)
        for p, q in zip(one.own.parameters(), third.own.parameters(), strict=True):
            assert p.dim() == 1 or not torch.equal(p, q), "the objective's own weights must begin with the seed"

    def test_going_on_from_a_saved_state_is_going_on(self, spec: config.Objective, module: str) -> None:
        one, other = self.learner(spec, module), self.learner(spec, module, seed=1)
        _epoch(one)
        state = unpack_state(pack_state({"learner": one.state_dict(), "network": one.network.state_dict()}))
        other.network.load_state_dict(state["network"])
        other.load_state_dict(state["learner"])
        values = []
        for learner in (one, other):
            seeded(learner.network)
            values.append(_epoch(learner).value)
        assert torch.equal(*values), "the loss after resuming must be the one without"
        assert same(_numbers(one), _numbers(other)), "the weights after resuming must be those without"
        assert one.lr == other.lr
        assert one.epoch == other.epoch == 2

    def test_every_rate_follows_the_schedule(self, spec: config.Objective) -> None:
        learner = self.learner(spec)
        first = {name: optimiser.param_groups[0]["lr"] for name, optimiser in learner.optimizers.items()}
        _epoch(learner)
        ratios = [optimiser.param_groups[0]["lr"] / first[name] for name, optimiser in learner.optimizers.items()]
        # A rate of one cycle begins at half a batch, then 3 more follow.
        assert ratios == pytest.approx([7.0] * len(ratios)), "every learning rate must follow the training's schedule"

    def test_examples_are_learnt(self, spec: config.Objective) -> None:
        """A few steps on one batch let the network predict it better."""
        learner = self.learner(spec)
        x, y = batch(16)

        def quality() -> float:
            with torch.no_grad():
                return cross_entropy(learner.network.train()(x, y).logits, y).item()

        before = quality()
        for _ in range(5):
            _epoch(learner)
        assert (after := quality()) < before, f"15 steps on one batch took its cross-entropy from {before:g} to {after:g}"

    def test_a_step_never_waits_for_the_device(self, spec: config.Objective, module: str) -> None:
        """With tensors that hold no value, every question about one is an error."""
        # Such weights cannot be moved; they are where they should be.
        with FakeTensorMode(), patch.object(nn.Module, "to", lambda self, device: self):
            _learn(self.learner(spec, module))


def _learn(learner: Learner) -> Loss:
    x, y = batch(16)
    return learner.learn(x, adversarial(x), y)


def _epoch(learner: Learner) -> Loss:
    for _ in range(STEPS):
        result = _learn(learner)
    learner.end_epoch()
    return result


def _numbers(learner: Learner) -> dict[str, Tensor]:
    return {**learner.network.state_dict(), **{f"own.{name}": t for name, t in learner.own.state_dict().items()}}
