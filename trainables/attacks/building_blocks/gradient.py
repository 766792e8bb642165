"""Gradients with respect to images, from a network that is left as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.outputs import Outputs

#: What is maximised: outputs and labels (B,) to a value for each example, (B,).
Objective = Callable[[Outputs, Tensor], Tensor]

#: Which batch statistics the network has during an attack.
BatchNorm = Literal["eval", "train"]


@contextmanager
def frozen(model: nn.Module, bn: BatchNorm = "eval") -> Iterator[None]:
    """The model in evaluation mode and without gradients of its parameters, which saves their memory; then as before.

    With ``bn="train"`` batch norms alone use the statistics of the batch that they see, which their running statistics and
    counters do not learn of. Every submodule's own mode and every parameter's own ``requires_grad`` come back, after an
    error too. Gradients are enabled inside, whatever the caller's setting.
    """
    modes = [(module, module.training) for module in model.modules()]
    norms = [(module, module.track_running_stats) for module in model.modules() if isinstance(module, _BatchNorm)]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        for norm, _ in norms if bn == "train" else ():
            norm.training, norm.track_running_stats = True, False
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for norm, tracks in norms:
            norm.track_running_stats = tracks
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


class Expectation(NamedTuple):
    """What a gradient is the mean of: so many ``draws`` of a stochastic network, each seeing the images through ``look``.

    ``look`` maps images to images of the same shape, differentiably, and may draw (Athalye et al., ICML 2018).
    """

    draws: int = 1
    look: Callable[[Tensor], Tensor] | None = None


ONCE = Expectation()


class Slope(NamedTuple):
    """An objective at a point: the ``outputs`` there, each example's ``value`` (B,) and ``gradient``, shaped as images."""

    outputs: Outputs
    value: Tensor
    gradient: Tensor


def slope(model: nn.Module, x: Tensor, y: Tensor, objective: Objective, over: Expectation = ONCE) -> Slope:
    """Each example's objective and its gradient with respect to x, in the mean ``over`` draws.

    The outputs are the last draw's. To be called inside :func:`frozen`.
    """
    found = _slope(model, x, y, objective, over.look)
    if over.draws == 1:
        return found
    value, gradient = found.value, found.gradient
    for _ in range(over.draws - 1):
        found = _slope(model, x, y, objective, over.look)
        value, gradient = value + found.value, gradient + found.gradient
    return Slope(found.outputs, value / over.draws, gradient / over.draws)


def _slope(model: nn.Module, x: Tensor, y: Tensor, objective: Objective, look: Callable[[Tensor], Tensor] | None) -> Slope:
    x = x.detach().requires_grad_()
    outputs = model(look(x) if look else x)
    value = objective(outputs, y)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return Slope(outputs, value.detach(), gradient)


def input_gradient(model: nn.Module, x: Tensor, y: Tensor, objective: Objective, over: Expectation = ONCE) -> Tensor:
    """The gradient, shaped as x, of each example's objective, in the mean ``over`` draws; inside :func:`frozen`."""
    return slope(model, x, y, objective, over).gradient


def clean_outputs(model: nn.Module, x: Tensor, bn: BatchNorm = "eval") -> Outputs:
    """What a frozen model says of x, without gradients: the fixed point of reference of an attack on its outputs."""
    with frozen(model, bn), torch.no_grad():
        outputs: Outputs = model(x)
    return outputs
