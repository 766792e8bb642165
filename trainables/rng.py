"""Named random generators: each trial has one seed, and each use of random numbers its own stream.

The global generators of torch and numpy are neither read nor changed anywhere in this package.
"""

import hashlib
import json

import torch
from torch import Generator, Tensor


def derive(seed: int, name: str) -> int:
    """Derive the seed of the stream ``name`` from a trial's seed: 63 bits of a hash, so that nearby seeds are unrelated."""
    digest = hashlib.sha256(json.dumps([seed, name]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, name: str, device: torch.device | str = "cpu") -> Generator:
    """Return a new generator on ``device`` for the stream ``name``, such as ``init``, ``order``, ``augment`` or ``attack``.

    CPU and GPU generators with the same seed produce different numbers.
    """
    return Generator(device).manual_seed(derive(seed, name))


class Generators:
    """The random streams of one training: ``order`` on the CPU; ``augment``, ``attack`` and ``module`` on the device."""

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
        """Return the state of every stream, each a uint8 vector on the CPU."""
        return {name: stream.get_state() for name, stream in self._streams.items()}

    def load_state_dict(self, states: dict[str, Tensor]) -> None:
        """Resume from states that :meth:`state_dict` returned.

        Raises:
            ValueError: the names are not those of the streams, or a state is of another kind of device.
        """
        if states.keys() != self._streams.keys():
            raise ValueError(f"generator states are for {sorted(states)}, not for {sorted(self._streams)}")
        for name, stream in self._streams.items():
            try:
                stream.set_state(states[name].cpu())
            except RuntimeError as error:
                raise ValueError(f"the state of generator {name!r} is not of a {stream.device.type} device") from error
