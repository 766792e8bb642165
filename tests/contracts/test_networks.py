"""What every network promises, at every data set's shape. A new name in the table needs no new test."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from tests.support.contract_cases import DIGITS, batch
from trainables import config
from trainables.config.terms.registry import MODEL
from trainables.models import build_model

every_model = pytest.mark.parametrize("name", MODEL.entries)

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


def test_a_network_may_normalise_each_channel():
    mean, std = (0.49, 0.48, 0.45), (0.2, 0.25, 0.3)
    info = config.DATASETS["cifar10"]
    plain = build_model(config.Model(name="lenet", width=4), config.NoModule(), info, seed=0).double().eval()
    model = config.Model(name="lenet", width=4, normalise=True, mean=mean, std=std)
    ours = build_model(model, config.NoModule(), info, seed=0).eval()
    assert ours.state_dict().keys() == plain.state_dict().keys()
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scaled = torch.stack([(x[:, c].double() - mean[c]) / std[c] for c in range(3)], 1)
    torch.testing.assert_close(ours(x).logits.double(), plain(scaled).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mean": (0.4,)}, r"need normalise=true"),
        ({"normalise": True, "mean": (0.4, 0.4)}, r"model.mean = \[0.4, 0.4\]: must be 1 or 3 numbers for cifar10"),
        ({"normalise": True, "std": (0.0,)}, r"greater than 0"),
    ],
)
def test_a_normalisation_that_makes_no_sense_is_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        config.TrialConfig(model={"name": "lenet", **fields})


@every_model
def test_the_seed_alone_decides_the_first_weights(name):
    one, again, other = (build(name, seed=seed).state_dict() for seed in (4, 4, 5))
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert not torch.equal(one["fc.weight"], other["fc.weight"])
