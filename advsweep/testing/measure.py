"""What every measure promises, on networks with several modules and through a trial."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from advsweep.testing.cases import RESNET, batch, disturb, draws, named
from advsweep.testing.contract import Contract, failing, nothing_drawn
from advsweep.testing.contract import same as same_tensors
from trainables import config
from trainables.data import Examples
from trainables.joint import attack_weights
from trainables.measures import Array, Subject, run_measure
from trainables.plugins.promises import untouched
from trainables.trial import Trial

#: Small attacks, one that starts at the image and one that starts at a random point.
STEADY = config.PGD(eps=0.1, step=0.04, iterations=2, start="zero")
RANDOM = config.PGD(eps=0.1, step=0.04, iterations=2)


class MeasureContract(Contract):
    """Tests of a measure. ``models``: names of networks that are measured through a trial."""

    spec: ClassVar[config.Measure]
    models: ClassVar[Sequence[str]] = ("resnet-10",)

    def axes(self) -> dict[str, Sequence[Any]]:
        return super().axes() | {"model": self.models}

    def comparable(self, spec: config.Measure) -> AbstractContextManager[object]:
        """Return a context for the comparison of two batch sizes; override it for a measure that amplifies rounding."""
        return nullcontext()

    def subject(self, module: str, **settings: Any) -> Subject:
        """Make a network with the module of that name, and 16 images of all classes."""
        (x, _), inserted = batch(16), named(module)
        examples = Examples((x * 255).to(torch.uint8), torch.arange(16) % 10)
        network = self.network(inserted)
        network.draw_from(None)
        return Subject(network, examples, lambda attack: attack_weights(attack.aim, inserted), seed=0, **settings)

    def measured(self, spec: config.Measure, module: str, subject: Subject, attack: config.Attack = STEADY) -> dict[str, Array]:
        """Run the measure, with this attack where it takes one."""
        attacks = {"attack": attack} if "attack" in type(spec).model_fields else {}
        trial = config.TrialConfig(data=config.Data(dataset="digits"), model=RESNET, module=named(module))
        canonical = config.canonical_measure(spec.model_copy(update=attacks), trial)
        assert canonical is not None
        return run_measure(canonical, subject)

    def test_arrays_are_finite_numbers_of_the_examples(self, spec: config.Measure, module: str) -> None:
        found = self.measured(spec, module, self.subject(module))
        assert found, "a measure must find something"
        for name, values in found.items():
            assert isinstance(values, np.ndarray), f"{name} must be a numpy array, and is {type(values).__name__}"
            assert values.dtype in (np.float64, np.int64, np.bool_), f"{name} must be float64, int64 or bool: {values.dtype}"
            assert np.isfinite(values).all(), f"{name} is not finite"

    @pytest.mark.parametrize("fails", [False, True])
    def test_nothing_else_is_changed(self, spec: config.Measure, module: str, fails: bool) -> None:
        """Modes, gradients, statistics, generators; after an error in the model too."""
        subject, own = self.subject(module), torch.Generator().manual_seed(5)
        network = disturb(subject.network)
        network.draw_from(own)
        state = own.get_state()
        with nothing_drawn(), untouched(network, subject.examples.images), failing(network, fails):
            self.measured(spec, module, subject)
        assert network.draw_from(own) is own, "the network must draw from the generator that it drew from"
        assert torch.equal(own.get_state(), state), "the network's own generator must not move"
        assert network(batch(2)[0]).watched is None, "the network must no longer be watched"

    def test_the_seed_decides_every_bit(self, spec: config.Measure, module: str) -> None:
        """The seed is the attacks', and the stochastic modules'."""
        one, again = (self.measured(spec, module, self.subject(module), RANDOM) for _ in range(2))
        assert _same(one, again), "the same seed must find the same numbers"
        other = self.measured(spec, module, replace(self.subject(module), seed=1), RANDOM)
        matters = "attack" in type(spec).model_fields or draws(self.network(named(module)))
        assert _same(one, other) != matters, f"another seed must find {'other' if matters else 'the same'} numbers"

    @pytest.mark.parametrize("batch_size", [1, 5, 16])
    def test_the_batch_size_of_the_evaluation_does_not_matter(self, spec: config.Measure, module: str, batch_size: int) -> None:
        if draws(self.network(named(module))):
            pytest.skip("the numbers that the network draws for an example depend on how many come before it")
        with self.comparable(spec):
            some, all_at_once = (self.subject(module, batch_size=size) for size in (batch_size, 500))
            one, other = (self.measured(spec, module, subject) for subject in (some, all_at_once))
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=2e-3, atol=1e-6, err_msg=name)

    def test_the_callers_gradient_setting_does_not_matter(self, spec: config.Measure, module: str) -> None:
        with torch.no_grad():
            without = self.measured(spec, module, self.subject(module))
        assert _same(without, self.measured(spec, module, self.subject(module)))

    def test_every_network_is_measured_through_a_trial(self, spec: config.Measure, model: str) -> None:
        trial = small_trial(model)
        weights = {name: tensor.clone() for name, tensor in trial.weights().items()}
        found = trial.measure(spec, weights)
        assert found
        assert _same(found, trial.measure(spec, weights)), "measuring twice must find the same numbers"
        assert same_tensors(dict(trial.weights()), weights), "measuring must leave the trial's weights as they are"


def small_trial(model: str = "resnet-10", module: config.Module | None = None, seed: int = 0) -> Trial:
    """Make a trial on 40 digits that has not begun; ``model``: the narrowest of that name."""
    return Trial(
        config.TrialConfig(
            data=config.Data(dataset="digits", validation=0.1, crop=1, flip=False, examples=40),
            model=config.Model(name=model, width=3 if model == "lenet" else 2),
            module=module or config.NoModule(),
            training=config.Training(epochs=1, batch_size=18, lr=0.02),
            selection=config.Selection(attack=config.Natural()),
            seed=seed,
        ),
        config.Runtime(device="cpu", threads=1),
    )


def _same(one: dict[str, Array], other: dict[str, Array]) -> bool:
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)
