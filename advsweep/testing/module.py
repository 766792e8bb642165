"""What every inserted module promises, alone and at every position of a network."""

from collections.abc import Sequence
from itertools import product
from typing import Any, ClassVar, Literal, get_args, get_origin

import pytest
import torch
from torch import Generator, Tensor

from advsweep.testing.cases import DIGITS, RESNET, batch, inserted, seeded
from advsweep.testing.contract import Contract
from trainables import config
from trainables.attacks.building_blocks.surrogate import Surrogate
from trainables.attacks.building_blocks.surrogate import draws as says_it_draws
from trainables.config.terms.registry import MODULE
from trainables.models import build_model
from trainables.modules import InsertedModule
from trainables.objectives import loss
from trainables.plugins.promises import check_draws, check_outputs, check_weights, global_generators_untouched

#: A model, and positions of it.
Place = tuple[config.Model, tuple[str, ...]]


class ModuleContract(Contract):
    """Tests of a module. ``models``: networks in which it is tried at every position, and at all of them at once."""

    spec: ClassVar[config.Module]
    models: ClassVar[Sequence[config.Model]] = (RESNET,)

    def axes(self) -> dict[str, Sequence[Any]]:
        places: list[Place] = [(model, (p,)) for model in self.models for p in model.positions()]
        return super().axes() | {"place": places + [(model, tuple(model.positions())) for model in self.models]}

    def placed(self, spec: config.Module, model: config.Model, positions: tuple[str, ...]) -> config.Module:
        """Put the module at these positions; override it where another field depends on their number."""
        return inserted(spec.model_copy(update={"positions": positions}), model)

    def two(self, spec: config.Module) -> config.Module:
        """Put the module at the last two positions of a small network."""
        return self.placed(spec, RESNET, ("P2", "P1"))

    def built(self, spec: config.Module, generator: Generator | None = None) -> InsertedModule:
        """Build the module alone, in evaluation mode: batch statistics couple examples, and need more than one."""
        with torch.random.fork_rng(devices=()):
            module: InsertedModule = MODULE.load(spec.name)(spec, 0, channels=6, classes=7).eval()
        module.generator = generator
        return module

    @pytest.mark.parametrize("shape", [(1, 6, 1, 1), (4, 6, 3, 5)])
    @pytest.mark.parametrize("labelled", [False, True])
    def test_features_keep_their_shape_and_classes_are_predicted(
        self, spec: config.Module, shape: tuple[int, ...], labelled: bool
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        module, z = self.built(self.two(spec), generator), torch.rand(shape, generator=generator)
        y = torch.randint(7, shape[:1], generator=generator) if labelled else None
        found, logits, _ = module(z, y)
        assert found.shape == z.shape, f"features of the shape {shape} must keep it, and became {tuple(found.shape)}"
        assert found.dtype == z.dtype, "features must keep their precision"
        assert found.isfinite().all(), "features are not finite"
        assert (logits is not None) == spec.predicts, f"predicts is {spec.predicts}, and the module does otherwise"
        if logits is not None:
            assert logits.shape == (len(z), 7), f"logits must be {(len(z), 7)}, and are {tuple(logits.shape)}"
            assert logits.isfinite().all(), "logits are not finite"

    def test_its_configuration_says_whether_it_draws(self, spec: config.Module) -> None:
        generator, spec = torch.Generator().manual_seed(0), self.two(spec)
        annotations = {name: field.annotation for name, field in type(spec).model_fields.items() if name != "name"}
        choices = {name: get_args(kind) for name, kind in annotations.items() if get_origin(kind) is Literal}
        for values in product(*choices.values()):
            one = spec.model_copy(update=dict(zip(choices, values, strict=True)))
            module = self.built(one, generator)
            assert module.draws == one.draws, f"draws is {one.draws} in its configuration, and {module.draws} in the module"
            z = torch.rand(4, 6, 3, 5, generator=generator)
            differ = not torch.equal(module(z)[0], module(z)[0])
            assert differ == one.draws, f"draws is {one.draws}, and two passes {'differ' if differ else 'are the same'}"

    @pytest.mark.parametrize("view", ["plain", "soft", "train"])
    def test_every_view_says_whether_it_draws(self, spec: config.Module, view: config.View) -> None:
        """An attack does not try, and lets go of nobody where draws depend on how many there are."""
        network = self.network(self.two(spec)).eval()
        generator = torch.Generator().manual_seed(0)
        before = generator.get_state()
        network.draw_from(generator)
        seen = Surrogate(network, view)
        seen(batch(2)[0])
        drew = not torch.equal(generator.get_state(), before)
        assert says_it_draws(seen) == drew, f"draws must be {drew} in the view {view}"
        check_draws(self.two(spec), network)

    def test_an_example_does_not_depend_on_its_batch(self, spec: config.Module) -> None:
        """Of a stochastic module: nor do the numbers that it draws for the first one."""
        module = self.built(self.two(spec)).double()
        z = torch.randn(5, 6, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

        def first(z: Tensor, y: Tensor | None) -> list[Tensor]:
            module.generator = torch.Generator().manual_seed(0)
            return [out[:1] for out in module(z, y)[:2] if out is not None]

        for i in range(5):
            for y in (None, torch.arange(5)):
                turned, label = (None, None) if y is None else (y.roll(-i), y[i : i + 1])
                torch.testing.assert_close(first(z[i : i + 1], label), first(z.roll(-i, 0), turned))

    @pytest.mark.parametrize("training", [True, False])
    def test_it_draws_from_the_given_generator_alone(self, spec: config.Module, training: bool) -> None:
        """Without one a stochastic module refuses to work."""
        network = build_model(RESNET, self.two(spec), DIGITS, seed=0).train(training)
        x, _ = batch(4)
        with global_generators_untouched():
            one, other, another = (seeded(network, seed)(x).logits for seed in (0, 0, 1))
        assert torch.equal(one, other), "the same seed must make the same numbers"
        assert network.draw_from(None) is not None
        if torch.equal(one, another):
            network(x)
        else:
            with pytest.raises(RuntimeError, match="draw_from first"):
                network(x)

    def test_each_prediction_has_a_weight(self, spec: config.Module) -> None:
        module = self.two(spec)
        assert len(config.heads(module)) == (3 if spec.predicts else 1)
        check_weights(module)

    def test_gradients_reach_every_weight(self, spec: config.Module, place: Place) -> None:
        module = self.placed(spec, *place)
        network = seeded(build_model(place[0], module, DIGITS, seed=0).train())
        x, y = batch(16)
        value, outputs = loss(config.AT(), module, network, x, x, y)
        check_outputs(module, outputs, 16, DIGITS.classes)
        value.mean().backward()  # type: ignore[no-untyped-call]
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, f"no gradient reaches {name}"
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
            assert parameter.grad.any(), f"the gradient of {name} is 0"

    def test_a_saved_network_is_the_same_network(self, spec: config.Module, place: Place) -> None:
        module = self.placed(spec, *place)
        one, other = (seeded(build_model(place[0], module, DIGITS, seed=seed).eval()) for seed in (0, 1))
        other.load_state_dict(one.state_dict())
        x, _ = batch(3)
        assert torch.equal(one(x).logits, other(x).logits), "everything that it computes with must be in its state"
