"""Named random generators: one seed a trial, one independent stream for each use of it.

The global generators of torch and numpy are neither read nor changed anywhere in this package.
"""

import hashlib
import json

import torch
from torch import Generator, Tensor


def derive(seed: int, name: str) -> int:
    """The seed of the stream ``name`` of a trial: 63 bits of a hash, so that neighbouring seeds share nothing."""
    digest = hashlib.sha256(json.dumps([seed, name]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, name: str, device: torch.device | str = "cpu") -> Generator:
    """A fresh generator on ``device`` for the stream ``name``: ``init``, ``order``, ``augment``, ``attack``, ...

    CPU and GPU generators of one seed draw different numbers.
    """
    return Generator(device).manual_seed(derive(seed, name))


class Generators:
    """The streams that one training draws from: ``order`` on the CPU, ``augment``, ``attack`` and ``module`` on the device."""

    def __init__(self, seed: int, device: torch.device | str) -> None:
        self._streams = {
            "order": generator(seed, "order", "cpu"),
            "augment": generator(seed, "augment", device),
            "attack": generator(seed, "attack", device),
            "module": generator(seed, "module", device),
        }

    def __getitem__(self, name: str) -> Generator:
        return self._streams[name]

    def state_dict(self) -> dict[str, Tensor]:
        """The state of every stream: one uint8 vector on the CPU each."""
        return {name: stream.get_state() for name, stream in self._streams.items()}

    def load_state_dict(self, states: dict[str, Tensor]) -> None:
        """Continue where :meth:`state_dict` left off.

        Raises:
            ValueError: other streams than these, or a state of another kind of device, which no stream here can continue.
        """
        if states.keys() != self._streams.keys():
            raise ValueError(f"generator states are of {sorted(states)}, not of {sorted(self._streams)}")
        for name, stream in self._streams.items():
            try:
                stream.set_state(states[name].cpu())
            except RuntimeError as error:
                raise ValueError(f"the state of generator {name!r} is not of a {stream.device.type} device") from error
