"""Global random generators for attacks of other libraries: foolbox and pyautoattack."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Generator


@contextmanager
def seeded_global_generators(generator: Generator) -> Iterator[int]:
    """Seed the global generators of torch, numpy and Python from ``generator`` inside the block; yield the seed.

    They are restored afterwards. Exactly one number is drawn from ``generator``.
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
