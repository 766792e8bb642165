"""Gradients with respect to images that leave the network unchanged."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.outputs import Outputs

#: What an attack maximises: takes outputs and labels (B,) and returns a value for each example, (B,).
Objective = Callable[[Outputs, Tensor], Tensor]

#: Batch statistics that the network uses during an attack: running ones (``eval``) or the batch's (``train``).
BatchNorm = Literal["eval", "train"]


@contextmanager
def frozen(model: nn.Module, bn: BatchNorm = "eval") -> Iterator[None]:
    """Put the model in evaluation mode and disable gradients of its parameters inside the block, which saves memory.

    With ``bn="train"`` the batch norms use the statistics of their batch, without updating running statistics and counters.
    Modes of submodules and ``requires_grad`` of parameters are restored at the end, after an error too. Gradients are enabled
    inside.
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
    """Expectation over transformations (Athalye et al., ICML 2018), of which each gradient is an estimate.

    ``draws``: number of forward passes to average. ``transform``: maps images to images of the same shape, differentiably and
    possibly at random, before each of them; None for the identity.
    """

    draws: int = 1
    transform: Callable[[Tensor], Tensor] | None = None


ONCE = Expectation()


class Slope(NamedTuple):
    """An objective at a point: the ``outputs``, each example's ``value`` (B,), and its ``gradient``, shaped as images."""

    outputs: Outputs
    value: Tensor
    gradient: Tensor


def slope(model: nn.Module, x: Tensor, y: Tensor, objective: Objective, over: Expectation = ONCE) -> Slope:
    """Compute each example's objective and its gradient with respect to x, averaged ``over`` draws.

    The outputs are those of the last draw. Call it inside :func:`frozen`.
    """
    found = _slope(model, x, y, objective, over.transform)
    if over.draws == 1:
        return found
    value, gradient = found.value, found.gradient
    for _ in range(over.draws - 1):
        found = _slope(model, x, y, objective, over.transform)
        value, gradient = value + found.value, gradient + found.gradient
    return Slope(found.outputs, value / over.draws, gradient / over.draws)


def _slope(model: nn.Module, x: Tensor, y: Tensor, objective: Objective, transform: Callable[[Tensor], Tensor] | None) -> Slope:
    x = x.detach().requires_grad_()
    outputs = model(transform(x) if transform else x)
    value = objective(outputs, y)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return Slope(outputs, value.detach(), gradient)


def input_gradient(model: nn.Module, x: Tensor, y: Tensor, objective: Objective, over: Expectation = ONCE) -> Tensor:
    """Compute the gradient, shaped as x, of each example's objective, averaged ``over`` draws; call it in :func:`frozen`."""
    return slope(model, x, y, objective, over).gradient


def clean_outputs(model: nn.Module, x: Tensor, bn: BatchNorm = "eval") -> Outputs:
    """Compute the outputs of a frozen model at x without gradients, such as the reference of an attack on them."""
    with frozen(model, bn), torch.no_grad():
        outputs: Outputs = model(x)
    return outputs
