"""Weights and training state as bytes, without pickle."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
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


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict from elsewhere, on the CPU: safetensors, or what ``torch.load`` reads with ``weights_only``.

    A dictionary that holds one under ``state_dict``, ``model`` or ``net`` is opened, and a ``module.`` before every name, which
    data parallel training leaves, is dropped.

    Raises:
        ValueError: the file holds no state dict that can be read without running code.
        OSError: it cannot be read at all.
    """
    data = path.read_bytes()
    try:
        found = load(data) if path.suffix == ".safetensors" else torch.load(io.BytesIO(data), "cpu", weights_only=True)
    except Exception as error:  # of what is no checkpoint, torch and safetensors say anything
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{path}: no state dict in safetensors or for weights_only ({reason})") from error
    for name in ("state_dict", "model", "net"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path}: no state dict, which maps names to tensors")
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def fit_weights(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``weights`` under the names of ``wanted``, a network's own state dict: by name, or else by order and shape.

    Networks of one architecture list their tensors in one order, whatever they call them; counters of batches, which some
    files lack, are left at 0.

    Raises:
        ValueError: the two do not fit; the message names the first difference.
    """
    counted = {name: tensor for name, tensor in wanted.items() if name.endswith("num_batches_tracked")}
    ours = {name: tensor for name, tensor in wanted.items() if name not in counted}
    theirs = {name: tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}
    names = {name: name for name in ours} if ours.keys() == theirs.keys() else dict(zip(ours, theirs, strict=False))
    if len(ours) != len(theirs):
        raise ValueError(f"the file has {len(theirs)} tensors, and the model {len(ours)}")
    for name, other in names.items():
        if ours[name].shape != theirs[other].shape:
            shapes = f"{tuple(theirs[other].shape)}, and the model's {name} {tuple(ours[name].shape)}"
            raise ValueError(f"the file's {other} has the shape {shapes}")
    return {**counted, **{name: theirs[other].to(ours[name].dtype) for name, other in names.items()}}


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
