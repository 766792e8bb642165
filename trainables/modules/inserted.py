"""What every inserted module is."""

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from trainables.config import View
from trainables.outputs import Outputs


class Insertion(NamedTuple):
    """What a module makes of features: reweighed ones ``z`` of the same shape, its prediction ``logits`` (B, classes), None if
    it makes none, and ``inner``: whatever its own loss needs of this forward pass.
    """

    z: Tensor
    logits: Tensor | None
    inner: Any = None


class InsertedModule(nn.Module):
    """Looks at a layer's features, may predict from them, and reweighs them.

    ``chance``: what a stochastic module draws from, on the features' device; see ``Network.draw_from``. No module draws from
    torch's global generator.

    ``view``: what an attacker looks at, instead of what the module does: with ``soft`` a smooth likeness of it in evaluations,
    where it has a jump or hides a gradient. A module without either leaves ``soft`` out.

    Args:
        spec: the module's configuration, of all its positions.
        index: which of ``spec``'s positions this one is, from 0.
        channels: of the features there.
        classes: of the data set.
    """

    def __init__(self, spec: Any, index: int, channels: int, classes: int) -> None:
        super().__init__()
        self.chance: Generator | None = None
        self.view: View = "plain"

    def forward(self, z: Tensor, y: Tensor | None = None) -> Insertion:
        """Features (B, C, H, W); ``y``: labels (B,), in the training forward only."""
        raise NotImplementedError

    @property
    def draws(self) -> bool:
        """Whether a forward pass, in this view and mode, is a matter of chance."""
        return False

    def uniform(self, *shape: int, like: Tensor) -> Tensor:
        """Numbers in [0, 1) from ``chance``, where ``like`` is; of its precision, but never less than single."""
        if self.chance is None:
            raise RuntimeError(f"{type(self).__name__} draws from a named generator: give the network one by draw_from first")
        dtype = torch.promote_types(like.dtype, torch.float32)
        return torch.rand(shape, generator=self.chance, device=like.device, dtype=dtype)

    @staticmethod
    def head_weights(spec: Any) -> tuple[float, ...]:
        """Weights of the final prediction and of each module's, in forward order, in every term of the training loss.

        Of the final one alone unless the module predicts.
        """
        return (1.0,)

    @staticmethod
    def regulariser(spec: Any, outputs: Outputs, y: Tensor) -> Tensor | None:
        """A loss of the module's own, (B,), added once to the objective's, on the examples trained on; None for none."""
        return None
