"""What attacks from libraries need around them: foolbox and pyautoattack, loaded when they are used."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Generator


@contextmanager
def chance_from(generator: Generator) -> Iterator[int]:
    """The global generators of torch, numpy and Python, seeded from ``generator``; then as before. Yields the seed.

    Libraries draw from global generators. One number is drawn from ``generator``, whatever they draw.
    """
    seed = int(torch.randint(2**31 - 1, (), generator=generator, device=generator.device))
    devices = [generator.device] if generator.device.type == "cuda" else []
    numbers, python = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=devices):
        try:
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            yield seed
        finally:
            np.random.set_state(numbers)
            random.setstate(python)
