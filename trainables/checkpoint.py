"""Weights and training states to bytes and back, without running pickled code."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor


def pack_weights(weights: Mapping[str, Tensor]) -> bytes:
    """Serialise a network's ``state_dict`` as safetensors."""
    return bytes(save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}))


def unpack_weights(data: bytes) -> dict[str, Tensor]:
    """Deserialise what :func:`pack_weights` returned; tensors are on the CPU."""
    return dict(load(data))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the state dict of an external checkpoint: safetensors, or what ``torch.load`` reads with ``weights_only``.

    A state dict nested under ``state_dict``, ``model`` or ``net`` is unwrapped, and the prefix ``module.`` of data parallel
    training is removed from the names.

    Returns:
        tensors by name, on the CPU.

    Raises:
        ValueError: the file holds no state dict that can be read without running code.
        OSError: the file cannot be read.
    """
    data = path.read_bytes()
    try:
        found = load(data) if path.suffix == ".safetensors" else torch.load(io.BytesIO(data), "cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many types for a file that is no checkpoint
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{path}: no state dict in safetensors or for weights_only ({reason})") from error
    for name in ("state_dict", "model", "net"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path}: no state dict, which maps names to tensors")
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def fit_weights(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename ``weights`` to the names of ``wanted``, the state dict of the network that is to load them.

    Tensors are matched by name where the names agree, and by order and shape otherwise: implementations of one architecture
    list their tensors in the same order. Batch counters, which some files lack, keep the values of ``wanted``.

    Raises:
        ValueError: numbers of tensors or shapes differ; the message names the first difference.
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
    """Serialise a nested training state of tensors, numbers and strings (network, optimiser, generators, history)."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()


def unpack_state(data: bytes) -> dict[str, Any]:
    """Deserialise what :func:`pack_state` returned; tensors are on the CPU.

    Raises:
        pickle.UnpicklingError: the bytes hold anything but tensors, containers, numbers and strings, or are damaged.
    """
    try:
        return dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many types for damaged bytes, from EOFError to IndexError
        reason = (str(error).splitlines() or [""])[0]
        raise pickle.UnpicklingError(f"no readable checkpoint to go on from ({type(error).__name__}: {reason})") from error
