"""Channel-wise activations: mean activation of each channel, and how often it is active."""

from typing import NamedTuple

import numpy as np
import torch

from trainables import config
from trainables.measures.subject import Array, Floats, Subject, array


class ChannelActivations(NamedTuple):
    """Activations of C channels: mean ``magnitude``, (C,), and ``frequency``, the share of examples it is active in, (C,)."""

    magnitude: Floats
    frequency: Floats


def channel_activations(a: Floats, threshold: float) -> ChannelActivations:
    """Compute the channels' magnitudes and frequencies from activations ``a`` >= 0, (N, C).

    A channel is active in an example above ``threshold`` times the example's largest activation (CAS, section 3.1; CIFS,
    appendix A.1); where all activations are 0, no channel is.
    """
    active = a > threshold * a.max(axis=1, keepdims=True)
    return ChannelActivations(a.mean(axis=0), active.mean(axis=0))


def activations(spec: config.Activations, subject: Subject) -> dict[str, Array]:
    """Measure the channels of the features at a position.

    An activation is the mean of a channel's absolute values, so features that a mask has made negative count as much.

    Returns:
        ``magnitude``, ``frequency``: (C,), see :class:`ChannelActivations`. ``weights``: weights of the final linear layer from
        its d features to the class, (d,), or to every class, (classes, d), where ``label`` is not set (CIFS, Figure 1, middle).
        ``examples``: number of examples used, ().

    Raises:
        ValueError: the test set has no example of the class.
    """
    network, labels = subject.network, subject.examples.labels.cpu()
    chosen = torch.arange(len(labels)) if spec.label is None else (labels == spec.label).nonzero()[:, 0]
    if not len(chosen):
        raise ValueError(f"label = {spec.label}: there is no test example of this class")
    found = []
    with network.watching(spec.position, spec.masked):
        for batch in subject.at(chosen).batches(spec.attack):
            with torch.no_grad():
                watched = network(batch.x_adv[0]).watched
            assert watched is not None
            found.append(watched.abs().mean((2, 3)))
    magnitude, frequency = channel_activations(array(found), spec.threshold)
    weights = network.fc.weight.detach() if spec.label is None else network.fc.weight.detach()[spec.label]
    return {
        "magnitude": magnitude,
        "frequency": frequency,
        "weights": weights.double().cpu().numpy(),
        "examples": np.array(len(chosen)),
    }
