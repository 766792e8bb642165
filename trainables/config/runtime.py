"""Where and how a trial runs; never a part of what it is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    """Where and how a trial runs; never a part of its identity.

    ``device``: a torch device, or ``auto`` for a GPU where there is one. ``threads``: CPU threads, None for torch's choice.
    ``memory_share``: a data set larger than this share of the GPU's free memory stays in host memory.
    """

    device: str = "auto"
    threads: int | None = None
    data_dir: str = "data"
    download: bool = False
    memory_share: float = 0.5
