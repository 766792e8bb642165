"""Weights and training state as bytes, without pickle."""

import io
import pickle
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor


def pack_weights(weights: Mapping[str, Tensor]) -> bytes:
    """A network's ``state_dict`` as safetensors."""
    return bytes(save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}))


def unpack_weights(data: bytes) -> dict[str, Tensor]:
    """The inverse of :func:`pack_weights`, on the CPU."""
    return dict(load(data))


def pack_state(state: Mapping[str, Any]) -> bytes:
    """A nested state of tensors, numbers and strings (network, optimiser, generators, history)."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()


def unpack_state(data: bytes) -> dict[str, Any]:
    """The inverse of :func:`pack_state`, on the CPU.

    Raises:
        pickle.UnpicklingError: the bytes hold anything but tensors, containers, numbers and strings, or are damaged.
    """
    try:
        return dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except Exception as error:  # of damaged bytes torch says anything from EOFError to IndexError
        reason = (str(error).splitlines() or [""])[0]
        raise pickle.UnpicklingError(f"no readable checkpoint to go on from ({type(error).__name__}: {reason})") from error
