"""What every inserted module promises, alone and at every position of a network."""

from itertools import product
from typing import Literal, get_args, get_origin

import pytest
import torch

from tests.support.contract_cases import DIGITS, EVERY_MODULE, RESNET, batch, module_spec, seeded, specs
from trainables import config
from trainables.config.terms.registry import MODULE
from trainables.joint import training_weights
from trainables.models import build_model
from trainables.objectives import loss

WIDE = config.Model(name="wrn-28", width=4)
PLACES: list[tuple[config.Model, tuple[str, ...]]] = [(model, (p,)) for model in (RESNET, WIDE) for p in model.positions()]
PLACES += [(model, tuple(model.positions())) for model in (RESNET, WIDE)]

every_module = pytest.mark.parametrize("name", EVERY_MODULE[1:])
every_place = pytest.mark.parametrize(("model", "positions"), PLACES, ids=lambda v: getattr(v, "name", None) or "+".join(v))


def build(name, chance=None, spec=None):
    """The module in evaluation mode: batch statistics tie examples together, and need more than one."""
    with torch.random.fork_rng(devices=()):
        module = MODULE.load(name)(spec or module_spec(name), 0, channels=6, classes=7).eval()
    module.generator = chance
    return module


def test_the_configuration_and_the_table_hold_the_same_names():
    assert specs(config.Module).keys() == set(EVERY_MODULE)


@every_module
@pytest.mark.parametrize("shape", [(1, 6, 1, 1), (4, 6, 3, 5)])
@pytest.mark.parametrize("labelled", [False, True])
def test_features_keep_their_shape_and_classes_are_predicted(name, shape, labelled, chance):
    module = build(name, chance)
    z = torch.rand(shape, generator=chance)
    masked, logits, _ = module(z, torch.randint(7, shape[:1], generator=chance) if labelled else None)
    assert masked.shape == z.shape
    assert masked.dtype == z.dtype
    assert masked.isfinite().all()
    assert (logits is not None) == module_spec(name).predicts
    if logits is not None:
        assert logits.shape == (len(z), 7)
        assert logits.isfinite().all()


@every_module
def test_the_configuration_says_whether_a_prediction_is_a_matter_of_chance(name, chance):
    fields = [(field.annotation, field_name) for field_name, field in type(module_spec(name)).model_fields.items()]
    choices = {n: get_args(annotation) for annotation, n in fields if get_origin(annotation) is Literal and n != "name"}
    for values in product(*choices.values()):
        spec = module_spec(name).model_copy(update=dict(zip(choices, values, strict=True)))
        module = build(name, chance, spec)
        assert module.draws == spec.draws
        z = torch.rand(4, 6, 3, 5, generator=chance)
        same = torch.equal(module(z)[0], module(z)[0])
        assert same != spec.draws


@every_module
def test_an_example_does_not_depend_on_its_batch(name, chance):
    """Of a stochastic module: nor do the numbers that it draws for the first one."""
    module = build(name).double()
    z = torch.randn(5, 6, 3, 3, generator=chance, dtype=torch.float64)

    def first(z, y):
        module.generator = torch.Generator().manual_seed(0)
        return [out[:1] for out in module(z, y)[:2] if out is not None]

    for i in range(5):
        for y in (None, torch.arange(5)):
            turned, label = (None, None) if y is None else (y.roll(-i), y[i : i + 1])
            torch.testing.assert_close(first(z[i : i + 1], label), first(z.roll(-i, 0), turned))


@every_module
@pytest.mark.parametrize("training", [True, False])
def test_chance_is_the_given_generators_alone(name, training):
    """Without one a stochastic module refuses to work; that torch's own is untouched is checked around every test."""
    network = build_model(RESNET, module_spec(name), DIGITS, seed=0).train(training)
    x, _ = batch(4)
    one, other, another = (seeded(network, seed)(x).logits for seed in (0, 0, 1))
    assert torch.equal(one, other)
    assert network.draw_from(None) is not None
    if torch.equal(one, another):
        network(x)
    else:
        with pytest.raises(RuntimeError, match="draw_from first"):
            network(x)


@every_module
def test_the_heads_have_weights(name):
    module = module_spec(name)
    weights = training_weights(module)
    assert len(weights) == len(config.heads(module)) == (3 if module.predicts else 1)
    assert all(w >= 0 for w in weights)
    assert any(weights)


@every_module
@every_place
def test_gradients_reach_every_weight(name, model, positions):
    module = module_spec(name, model, positions)
    network = seeded(build_model(model, module, DIGITS, seed=0).train())
    x, y = batch(16)
    value, outputs = loss(config.AT(), module, network, x, x, y)
    assert [a.shape for a in outputs.aux] == [(16, 10)] * (len(config.heads(module)) - 1)
    value.mean().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


@every_module
@every_place
def test_a_saved_network_is_the_same_network(name, model, positions):
    module = module_spec(name, model, positions)
    one, other = (seeded(build_model(model, module, DIGITS, seed=seed).eval()) for seed in (0, 1))
    other.load_state_dict(one.state_dict())
    x, _ = batch(3)
    assert torch.equal(one(x).logits, other(x).logits)
