"""The memory layout of a network's weights, and where PyTorch cannot train in it."""

import torch
from torch import nn

from trainables import config
from trainables.models.network import Network

#: Channels from which on PyTorch's gradient of a strided 1x1 convolution stays within its memory; see :func:`check_layout`.
SAFE_CHANNELS = 8


class UnsafeLayout(ValueError):
    """A network that PyTorch cannot train in this layout on a CPU; the message says why, and what is allowed."""


def channels_last(spec: config.TrialConfig, runtime: config.Runtime) -> bool:
    """Whether a trial's networks are in ``channels-last``."""
    if runtime.layout == "auto":
        return spec.training.precision == "bf16"
    return runtime.layout == "channels-last"


def check_layout(network: Network, spec: config.TrialConfig, runtime: config.Runtime, device: str) -> None:
    """Refuse a training that would write outside its memory.

    On CPUs without AVX-512 the gradient of the weights of a strided 1x1 convolution of few channels does, in ``channels-last``
    and float32. It is refused on every CPU, because a trial may continue on another. Attacks and bf16 are safe.

    Args:
        network: of the trial.
        spec: of the trial.
        runtime: where and how it runs.
        device: kind of the device: ``cpu`` or ``cuda``.

    Raises:
        UnsafeLayout: the training would write outside its memory.
    """
    if device != "cpu" or spec.training.precision != "fp32" or not channels_last(spec, runtime):
        return
    if (channels := min(map(_strided_channels, network.modules()))) < SAFE_CHANNELS:
        raise UnsafeLayout(
            f"layout = {runtime.layout!r}: {spec.model.name} with model.width = {spec.model.width} has a strided 1x1 "
            f"convolution of {channels} channels, which PyTorch cannot train in this layout on a CPU with "
            f"training.precision = fp32; allowed: auto, contiguous, or a model.width with which it has {SAFE_CHANNELS} or more"
        )


def _strided_channels(layer: nn.Module) -> float:
    """Return the input channels of a strided 1x1 convolution; infinity for any other layer."""
    if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and max(layer.stride) > 1:
        return layer.in_channels
    return torch.inf
