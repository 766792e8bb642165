"""The outputs of a network."""

from typing import Any, NamedTuple

from torch import Tensor


class Outputs(NamedTuple):
    """The outputs of one forward pass over B examples.

    Attributes:
        logits: the final prediction, (B, classes).
        aux: predictions of the inserted modules, each (B, classes), in forward order.
        features: pooled features, the input of the final linear layer, (B, C).
        maps: features before pooling, (B, C, H, W).
        inner: values that the inserted modules' regularisers need, one entry for each module that has one.
        watched: features at the position chosen by :meth:`trainables.models.Network.watching`, (B, C, H, W); None without.
    """

    logits: Tensor
    aux: tuple[Tensor, ...]
    features: Tensor
    maps: Tensor
    inner: tuple[Any, ...] = ()
    watched: Tensor | None = None


def heads(outputs: Outputs) -> tuple[Tensor, ...]:
    """Return every prediction, each (B, classes), in the order of :func:`trainables.config.heads`: the final one first."""
    return (outputs.logits, *outputs.aux)


def rank(logits: Tensor, y: Tensor) -> Tensor:
    """Count the other classes that score at least as high as the true one: int64 (B,); 0 is a correct prediction.

    ``logits``: (B, classes); ``y``: labels (B,). Ties and NaN count against the network.
    """
    true = logits.gather(1, y[:, None])
    beaten = (true > logits).sum(1)
    return logits.shape[1] - 1 - beaten
