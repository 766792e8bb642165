"""Whether a network's gradients are usable by attacks: finite, nonzero and deterministic."""

import torch
from torch import Tensor

from trainables import config
from trainables.attacks.building_blocks.gradient import slope
from trainables.attacks.building_blocks.losses import cross_entropy
from trainables.data import evaluation_batches
from trainables.measures.subject import Array, Subject, array
from trainables.outputs import Outputs, rank


def _loss(outputs: Outputs, y: Tensor) -> Tensor:
    return cross_entropy(outputs.logits, y)


def disagreement(z: Tensor, again: Tensor) -> Tensor:
    """Compute the largest difference between logits (B, classes), relative to the largest in ``z``: (B,); 0 where equal."""
    apart = torch.where(z == again, 0, (z - again).abs()).amax(1)
    return apart / z.abs().amax(1).clamp(min=torch.finfo(z.dtype).tiny)


def soundness(spec: config.Soundness, subject: Subject) -> dict[str, Array]:
    """Check the cross-entropy of the final prediction, in the precision in which attacks use it.

    Returns:
        arrays (N,) over the test examples. ``right``: whether the example is classified correctly. ``finite``: whether its loss
        is finite. ``gradient``: largest absolute partial derivative of its loss with respect to a pixel. ``disagreement``:
        difference between two forward passes, see :func:`disagreement`.
    """
    right, finite, gradient, apart = [], [], [], []
    for x, y in evaluation_batches(subject.examples, subject.batch_size):
        found = slope(subject.network, x, y, _loss)
        z = found.outputs.logits.detach()
        with torch.no_grad():
            again = subject.network(x).logits
        right.append(rank(z, y) == 0)
        finite.append(torch.isfinite(found.value))
        gradient.append(found.gradient.abs().flatten(1).amax(1))
        apart.append(disagreement(z, again))
    flags = {"right": torch.cat(right).cpu().numpy(), "finite": torch.cat(finite).cpu().numpy()}
    return {**flags, "gradient": array(gradient), "disagreement": array(apart)}
