"""Settings of where and how a trial runs, which are no part of its identity."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Runtime:
    """Where and how a trial runs; no part of its identity.

    ``device``: a torch device, or ``auto`` for a GPU where there is one. ``threads``: CPU threads; None leaves torch's default.
    ``data_dir``: folder of the data sets. ``download``: whether missing data sets are downloaded to it.
    ``memory_share``: a data set larger than this share of the GPU's free memory stays in host memory.
    ``layout``: memory layout of the convolutions' weights and features; ``auto`` is ``channels-last`` with bf16, where it was
    measured to be faster, and ``contiguous`` with fp32, where it was not. On CPUs without AVX-512, PyTorch's strided 1x1
    convolution of fewer than eight channels writes outside its memory in ``channels-last`` with fp32.
    ``compile``: ``kernels`` compiles networks by torch.compile, which takes minutes at the start of a trial; on CPUs no
    measurement showed a gain. ``graphs`` also replays the kernels as CUDA graphs, for networks so small that launching kernels
    takes longer than running them; on CPUs it equals ``kernels``.
    """

    device: str = "auto"
    threads: int | None = None
    data_dir: str = "data"
    download: bool = False
    memory_share: float = 0.5
    layout: Literal["auto", "contiguous", "channels-last"] = "auto"
    compile: Literal["off", "kernels", "graphs"] = "off"
