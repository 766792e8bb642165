"""What every objective promises, on networks with every module."""

import pytest
import torch

from tests.support.contract_cases import EVERY_MODULE, batch, draws, module_spec, network, spec, specs
from trainables import config
from trainables.config.terms.registry import OBJECTIVE
from trainables.joint import training_weights
from trainables.objectives import loss

#: Those that are functions; the others are learners, with weights or optimisers of their own.
OBJECTIVES = {name: OBJECTIVE.load(name) for name in specs(config.Objective) if not isinstance(OBJECTIVE.load(name), type)}


def test_most_objectives_are_functions():
    assert len(OBJECTIVES) == len(specs(config.Objective)) - 2


def case(name, module):
    model, weights = network(module_spec(module))
    x, y = batch(16)
    x_adv = (x + 0.05 * torch.where(torch.arange(8) % 2 == 0, 1, -1)).clamp(0, 1)
    return spec(config.Objective, name), model.train(), x, x_adv, y, weights


every_objective = pytest.mark.parametrize("name", OBJECTIVES)
every_module = pytest.mark.parametrize("module", EVERY_MODULE)


@every_objective
@every_module
def test_a_loss_for_each_example_and_gradients_for_each_weight(name, module):
    objective, model, x, x_adv, y, _ = case(name, module)
    value, outputs = loss(objective, module_spec(module), model, x, x_adv, y)
    assert value.shape == (16,)
    assert outputs.logits.shape == (16, 10)
    assert value.isfinite().all()
    value.mean().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


@every_objective
@every_module
def test_an_example_does_not_depend_on_its_batch_but_for_its_statistics(name, module):
    objective, model, x, x_adv, y, weights = case(name, module)
    if draws(model):
        pytest.skip("the numbers that the network draws for an example depend on how many come before it")
    model.eval().double()
    x, x_adv = x.double(), x_adv.double()
    together = OBJECTIVES[objective.name](objective, model, x, x_adv, y, weights)
    for i in range(3):
        alone = OBJECTIVES[objective.name](objective, model, x[i : i + 1], x_adv[i : i + 1], y[i : i + 1], weights)
        torch.testing.assert_close(alone.value[0], together.value[i])
        torch.testing.assert_close(alone.outputs.logits[0], together.outputs.logits[i])


@every_objective
@every_module
def test_heads_of_weight_zero_get_no_gradient(name, module):
    objective, model, x, x_adv, y, weights = case(name, module)
    final_only = (1.0, *(0.0 for _ in weights[1:]))
    OBJECTIVES[objective.name](objective, model, x, x_adv, y, final_only).value.mean().backward()
    unmasked, _ = network(module_spec("none"))
    assert all(p.grad is not None for n, p in model.named_parameters() if n in dict(unmasked.named_parameters()))
    biases = [p for n, p in model.named_parameters() if n.startswith("inserted") and n.endswith(("fc.bias", "fc2.bias"))]
    assert all(p.grad is None for p in biases)


@every_objective
def test_examples_are_learnt(name):
    """A few steps on one batch lower its loss."""
    objective, model, x, x_adv, y, _ = case(name, "none")
    weights = training_weights(config.NoModule())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    values = []
    for _ in range(10):
        optimiser.zero_grad()
        value = OBJECTIVES[objective.name](objective, model, x, x_adv, y, weights).value.mean()
        value.backward()
        optimiser.step()
        values.append(value.item())
    assert values[-1] < values[0]
