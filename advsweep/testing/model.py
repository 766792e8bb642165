"""What every network promises, at every data set's shape."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch.nn.functional import cross_entropy, linear

from advsweep.testing.cases import DIGITS, batch
from advsweep.testing.contract import Contract, same
from trainables import config
from trainables.models import Network, build_model
from trainables.plugins.promises import check_outputs, check_positions, global_generators_untouched


class ModelContract(Contract):
    """Tests of a model, narrow as ``config.Model(name="mine", width=4)``.

    ``datasets``: names of data sets, one of each shape that it can take.
    """

    spec: ClassVar[config.Model]
    datasets: ClassVar[Sequence[str]] = ("digits", "mnist", "cifar10", "tiny-imagenet")

    def axes(self) -> dict[str, Sequence[Any]]:
        return super().axes() | {"dataset": self.datasets}

    def built(self, spec: config.Model, module: config.Module | None = None, seed: int = 0) -> Network:
        """Build the network for digits."""
        return build_model(spec, module or config.NoModule(), DIGITS, seed)

    def test_outputs_have_their_shapes(self, spec: config.Model, dataset: str) -> None:
        info, module = config.DATASETS[dataset], config.CAS(positions=tuple(spec.positions()[-2:]))
        network = build_model(spec, module, info, seed=0)
        out = network(torch.rand(2, info.channels, info.size, info.size, generator=torch.Generator().manual_seed(0)))
        check_outputs(module, out, 2, info.classes)
        assert out.features.shape == (2, network.fc.in_features), "features must be what the final layer takes"
        assert out.maps.shape[:2] == out.features.shape, "maps must be the features before pooling"

    def test_the_final_layer_is_linear_on_pooled_maps(self, spec: config.Model) -> None:
        """Class activation maps are made of this."""
        out = (network := self.built(spec).eval())(batch(3)[0])
        torch.testing.assert_close(out.features, out.maps.mean((2, 3)))
        torch.testing.assert_close(linear(out.features, network.fc.weight, network.fc.bias), out.logits)
        assert out.maps.min() >= 0, "the last features must not be negative"

    def test_a_module_fits_at_every_position(self, spec: config.Model) -> None:
        network = self.built(spec, config.CAS(positions=tuple(spec.positions())))
        check_positions(spec, network)
        seen = len(network(*batch(2)).aux)
        assert seen == len(network.channels), f"a forward pass visits {seen} of {len(network.channels)} positions"

    def test_an_example_does_not_depend_on_its_batch_in_evaluation(self, spec: config.Model) -> None:
        network, (x, _) = self.built(spec).double().eval(), batch(5, torch.float64)
        torch.testing.assert_close(torch.cat([network(x[i : i + 1]).logits for i in range(5)]), network(x).logits)

    @pytest.mark.parametrize("normalise", [False, True])
    def test_gradients_reach_every_weight_and_the_image(self, spec: config.Model, normalise: bool) -> None:
        network, (x, y) = self.built(spec.model_copy(update={"normalise": normalise})).train(), batch(16)
        x.requires_grad_()
        with global_generators_untouched():
            cross_entropy(network(x, y).logits, y).backward()  # type: ignore[no-untyped-call]
        for name, tensor in [*network.named_parameters(), ("the image", x)]:
            assert tensor.grad is not None, f"no gradient reaches {name}"
            assert tensor.grad.isfinite().all(), f"the gradient of {name} is not finite"
            assert tensor.grad.any(), f"the gradient of {name} is 0"

    def test_a_normalising_network_is_the_same_network_on_images_from_minus_1_to_1(self, spec: config.Model) -> None:
        """With the same weights, and a gradient twice as large: eps stays in the units of [0, 1]."""
        plain = self.built(spec).double().eval()
        ours = self.built(spec.model_copy(update={"normalise": True})).double().eval()
        assert same(plain.state_dict(), ours.state_dict()), "normalising must not change the weights"
        x, _ = batch(3, torch.float64)
        x.requires_grad_()
        scaled = (2 * x - 1).detach().requires_grad_()
        one, other = ours(x).logits, plain(scaled).logits
        torch.testing.assert_close(one, other)
        (slope,), (expected,) = torch.autograd.grad(one.sum(), x), torch.autograd.grad(other.sum(), scaled)
        torch.testing.assert_close(slope, 2 * expected)
        assert not torch.equal(one, plain(x).logits), "normalising makes no difference"

    def test_the_seed_alone_decides_the_first_weights(self, spec: config.Model) -> None:
        with global_generators_untouched():
            one, again, other = (self.built(spec, seed=seed).state_dict() for seed in (4, 4, 5))
        assert same(one, again), "the same seed must make the same weights"
        assert not torch.equal(one["fc.weight"], other["fc.weight"]), "another seed must make other weights"
