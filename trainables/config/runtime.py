"""Settings of where and how a trial runs, which are no part of its identity."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Runtime:
    """Where and how a trial runs; no part of its identity.

    ``device``: a torch device, or ``auto`` for a GPU where there is one. ``threads``: CPU threads; None leaves torch's default.
    ``data_dir``: folder of the data sets. ``download``: whether missing data sets are downloaded to it.
    ``memory_share``: a data set larger than this share of the GPU's free memory stays in host memory.
    ``layout``: of the convolutions' weights and features in memory; ``auto`` is ``channels-last`` with bf16, where it was
    measured to be faster, and ``contiguous`` with fp32, where it was not. On CPUs, ``channels-last`` with fp32 is refused for
    networks with a strided 1x1 convolution of fewer than eight channels, which PyTorch cannot train so (see
    :func:`trainables.models.layout.check_layout`).
    ``compile``: ``kernels`` sends networks through torch.compile, which takes minutes at the start of a trial; on CPUs it was
    not measured to win them back. ``graphs`` replays its kernels as CUDA graphs besides, for networks so small that starting
    kernels takes longer than running them; on CPUs there are none, and it is ``kernels``.
    ``save_seconds``: a training's state is written after an epoch once so many seconds have passed, or 20 times what writing
    took, if that is longer: a process that is killed loses that time or one epoch. 0: after every epoch.
    """

    device: str = "auto"
    threads: int | None = None
    data_dir: str = "data"
    download: bool = False
    memory_share: float = 0.5
    layout: Literal["auto", "contiguous", "channels-last"] = "auto"
    compile: Literal["off", "kernels", "graphs"] = "off"
    save_seconds: float = 60.0
