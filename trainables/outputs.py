"""What a network returns."""

from typing import Any, NamedTuple

from torch import Tensor


class Outputs(NamedTuple):
    """One forward pass over B examples.

    ``logits``: the final prediction, (B, classes). ``aux``: the inserted modules' own predictions, each (B, classes), in
    the order of the forward pass. ``features``: the pooled features that the final linear layer sees, (B, C). ``maps``: the
    same before pooling, (B, C, H, W). ``inner``: what an inserted module's own loss needs, one entry a module.
    ``watched``: the features at the place that the network was asked to show, (B, C, H, W).
    """

    logits: Tensor
    aux: tuple[Tensor, ...]
    features: Tensor
    maps: Tensor
    inner: tuple[Any, ...] = ()
    watched: Tensor | None = None


def heads(outputs: Outputs) -> tuple[Tensor, ...]:
    """Every prediction, each (B, classes), in the order of :func:`trainables.config.heads`: the final one comes first."""
    return (outputs.logits, *outputs.aux)
