"""What every network promises, at every data set's shape. A new name in the table needs no new test."""

import pytest
import torch
import torch.nn.functional as F
from cases import DIGITS, batch

from trainables import config
from trainables.models import MODELS, build_model

every_model = pytest.mark.parametrize("name", MODELS)

#: Data sets of different shapes.
SHAPES = {info[:3]: dataset for dataset, info in config.DATASETS.items()}


def build(name, info=DIGITS, seed=0, normalise=False, module=None):
    model = config.Model(name=name, width=4, normalise=normalise)
    return build_model(model, module or config.NoModule(), info, seed)


@every_model
@pytest.mark.parametrize("dataset", SHAPES.values())
def test_outputs_have_their_shapes(name, dataset, chance):
    info = config.DATASETS[dataset]
    positions = tuple(config.Model(name=name).positions()[-2:])
    network = build(name, info, module=config.CAS(positions=positions))
    out = network(torch.rand(2, info.channels, info.size, info.size, generator=chance))
    assert out.logits.shape == (2, info.classes)
    assert [a.shape for a in out.aux] == [(2, info.classes)] * 2
    assert out.features.shape == (2, network.fc.in_features)
    assert out.maps.shape[:2] == out.features.shape


@every_model
def test_the_final_layer_is_linear_on_pooled_maps(name, chance):
    """Class activation maps are made of this."""
    out = (network := build(name).eval())(batch(3)[0])
    torch.testing.assert_close(out.features, out.maps.mean((2, 3)))
    torch.testing.assert_close(F.linear(out.features, network.fc.weight, network.fc.bias), out.logits)
    assert out.maps.min() >= 0


@every_model
def test_positions_and_channels(name):
    network = build(name, module=config.CAS(positions=tuple(config.Model(name=name).positions())))
    assert list(network.channels) == config.Model(name=name).positions()
    out = network(*batch(2))  # every module fits where it is
    assert len(out.aux) == len(network.channels)


@every_model
def test_an_example_does_not_depend_on_its_batch_in_evaluation(name):
    network, (x, _) = build(name).double().eval(), batch(5, torch.float64)
    torch.testing.assert_close(torch.cat([network(x[i : i + 1]).logits for i in range(5)]), network(x).logits)


@every_model
@pytest.mark.parametrize("normalise", [False, True])
def test_gradients_reach_every_weight_and_the_image(name, normalise):
    network, (x, y) = build(name, normalise=normalise).train(), batch(16)
    x.requires_grad_()
    F.cross_entropy(network(x, y).logits, y).backward()
    for parameter_name, tensor in [*network.named_parameters(), ("x", x)]:
        assert tensor.grad is not None, parameter_name
        assert tensor.grad.isfinite().all(), parameter_name
        assert tensor.grad.any(), parameter_name


@every_model
def test_a_normalising_network_is_the_same_network_on_images_from_minus_1_to_1(name):
    """With the same weights, and a gradient twice as large: eps stays in the units of [0, 1]."""
    plain, ours = build(name).double().eval(), build(name, normalise=True).double().eval()
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), ours.state_dict().values(), strict=True))
    x, _ = batch(3, torch.float64)
    x.requires_grad_()
    scaled = (2 * x - 1).detach().requires_grad_()
    one, other = ours(x).logits, plain(scaled).logits
    torch.testing.assert_close(one, other)
    (slope,), (expected,) = torch.autograd.grad(one.sum(), x), torch.autograd.grad(other.sum(), scaled)
    torch.testing.assert_close(slope, 2 * expected)
    assert not torch.equal(one, plain(x).logits)


@every_model
def test_the_seed_alone_decides_the_first_weights(name):
    one, again, other = (build(name, seed=seed).state_dict() for seed in (4, 4, 5))
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert not torch.equal(one["fc.weight"], other["fc.weight"])
