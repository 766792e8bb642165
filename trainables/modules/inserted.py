"""The base class of all inserted modules, and what they return."""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Generator, Tensor, nn

from trainables.config import View
from trainables.config.module import AVERAGED
from trainables.outputs import Outputs


class Insertion(NamedTuple):
    """The output of an inserted module.

    Attributes:
        z: the reweighted features, of the shape of the input.
        logits: the module's prediction, (B, classes); None if it makes none.
        inner: values of this forward pass that the module's regulariser needs.
    """

    z: Tensor
    logits: Tensor | None
    inner: Any = None


class InsertedModule(nn.Module):
    """Base of modules that reweight the features at one position and may predict from them.

    Args:
        spec: the module's specification, shared by all its positions.
        index: index of this position in ``spec.positions``, from 0.
        channels: number of channels of the features at this position.
        classes: number of classes of the data set.

    Attributes:
        generator: the generator of a stochastic module, on the features' device, set by
            :meth:`trainables.models.Network.draw_from`. No module uses torch's global generator.
        view: what an attacker differentiates: ``plain``, the module itself, or another view that its specification lists. With
            ``soft``, a module that has jumps or hides a gradient computes a smooth approximation of itself.
        starts_as_network: whether the network initialises the module's layers as its own, as in the papers' public codes.
        replaces: whether a module at an activation stands in place of the ReLU, instead of behind it.
        averaged: number of draws whose mean is the prediction of a network with this module, where it draws.
    """

    starts_as_network: ClassVar[bool] = False
    replaces: ClassVar[bool] = False
    averaged = AVERAGED

    def __init__(self, spec: Any, index: int, channels: int, classes: int) -> None:
        super().__init__()
        self.generator: Generator | None = None
        self.view: View = "plain"

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        """Reweight features ``z`` (B, C, H, W). ``y``: labels (B,), given in training forward passes only."""
        raise NotImplementedError

    @property
    def draws(self) -> bool:
        """Whether a forward pass is stochastic in the current view and mode."""
        return False

    def uniform(self, *shape: int, like: Tensor) -> Tensor:
        """Return uniform numbers in [0, 1) on the device of ``like``, in its precision but at least float32."""
        if self.generator is None:
            raise RuntimeError(f"{type(self).__name__} draws from a named generator: give the network one by draw_from first")
        dtype = torch.promote_types(like.dtype, torch.float32)
        return torch.rand(shape, generator=self.generator, device=like.device, dtype=dtype)

    @staticmethod
    def head_weights(spec: Any) -> tuple[float, ...]:
        """Return the weights of the heads in the training loss: the final prediction's, then each module's in forward order.

        A module that does not predict returns ``(1.0,)``.
        """
        return (1.0,)

    @staticmethod
    def regulariser(spec: Any, outputs: Outputs, y: Tensor) -> Tensor | None:
        """Return a loss (B,) of the module that is added once to the objective's, on the examples trained on; None for none."""
        return None
