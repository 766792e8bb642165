"""What every objective that is a function promises, besides what training by it does."""

import pytest
import torch
from torch import Tensor

from advsweep.testing.cases import DIGITS, adversarial, batch, draws, named
from advsweep.testing.learner import LearnerContract
from trainables import config
from trainables.config.terms.registry import OBJECTIVE
from trainables.joint import Weights, training_weights
from trainables.models import Network
from trainables.objectives import Loss, loss
from trainables.plugins.promises import check_loss


class ObjectiveContract(LearnerContract):
    """Tests of an objective that is a function."""

    def lossy(self, spec: config.Objective, model: Network, x: Tensor, y: Tensor, weights: Weights) -> Loss:
        """Compute the objective on natural images ``x`` and on perturbed ones."""
        found: Loss = OBJECTIVE.load(spec.name)(spec, model, x, adversarial(x), y, weights)
        return found

    def test_a_loss_for_each_example_and_gradients_for_each_weight(self, spec: config.Objective, module: str) -> None:
        model, (x, y) = self.network(named(module)), batch(16)
        result = loss(spec, named(module), model, x, adversarial(x), y)
        check_loss(result, 16, DIGITS.classes)
        result.value.mean().backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, f"no gradient reaches {name}"
            assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
            assert parameter.grad.any(), f"the gradient of {name} is 0"

    def test_an_example_does_not_depend_on_its_batch_but_for_its_statistics(self, spec: config.Objective, module: str) -> None:
        model, weights = self.network(named(module)), training_weights(named(module))
        if draws(model):
            pytest.skip("the numbers that the network draws for an example depend on how many come before it")
        model.eval().double()
        x, y = batch(16)
        x = x.double()
        together = self.lossy(spec, model, x, y, weights)
        for i in range(3):
            alone = self.lossy(spec, model, x[i : i + 1], y[i : i + 1], weights)
            torch.testing.assert_close(alone.value[0], together.value[i])
            torch.testing.assert_close(alone.outputs.logits[0], together.outputs.logits[i])

    def test_heads_of_weight_zero_get_no_gradient(self, spec: config.Objective, module: str) -> None:
        model, weights, (x, y) = self.network(named(module)), training_weights(named(module)), batch(16)
        parameters = dict(model.named_parameters())
        slopes = torch.autograd.grad(model(x, y).logits.sum(), [*parameters.values()], allow_unused=True)
        reached = {name for name, slope in zip(parameters, slopes, strict=True) if slope is not None}
        final_only = (1.0, *(0.0 for _ in weights[1:]))
        self.lossy(spec, model, x, y, final_only).value.mean().backward()  # type: ignore[no-untyped-call]
        found = {name for name, parameter in parameters.items() if parameter.grad is not None}
        assert found == reached, f"what the final prediction depends on must have a gradient, and no more: {found ^ reached}"

    def test_the_loss_of_a_batch_falls(self, spec: config.Objective) -> None:
        model, weights, (x, y) = self.network(named("none")), training_weights(named("none")), batch(16)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
        values = []
        for _ in range(10):
            optimiser.zero_grad()
            value = self.lossy(spec, model, x, y, weights).value.mean()
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            values.append(value.item())
        assert values[-1] < values[0], f"10 steps on one batch took its loss from {values[0]:g} to {values[-1]:g}"
