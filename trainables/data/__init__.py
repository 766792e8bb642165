"""The data sets, by the names in ``config.Data``, as tensors on the device, or streamed to it."""

from collections import ChainMap
from collections.abc import Callable
from functools import lru_cache

import torch

from trainables import config
from trainables.config import registry
from trainables.data.augment import augment
from trainables.data.batches import batches_per_epoch, evaluation_batches, training_batches
from trainables.data.digits import digits
from trainables.data.examples import DataNotFound, Examples
from trainables.data.splits import Splits, sample, split
from trainables.data.tiny_imagenet import tiny_imagenet, tiny_imagenet_exists
from trainables.data.torchvision_sets import SETS, files_exist, torchvision_set

__all__ = [
    "LOADERS",
    "DataNotFound",
    "Examples",
    "Splits",
    "augment",
    "available",
    "batches_per_epoch",
    "evaluation_batches",
    "fetch",
    "load",
    "sample",
    "training_batches",
]

#: ``(name, data_dir, download) -> (train, test)`` for each name, on the CPU.
LOADERS: ChainMap[str, Callable[[str, str, bool], tuple[Examples, Examples]]] = ChainMap(
    {
        "digits": digits,
        "tiny-imagenet": tiny_imagenet,
        **dict.fromkeys(SETS, torchvision_set),
    },
    registry.DATA.table("loaders"),
)

#: ``(name, data_dir) -> bool``: whether its files are there, for each name that has any.
FILES: ChainMap[str, Callable[[str, str], bool]] = ChainMap(
    {
        "tiny-imagenet": tiny_imagenet_exists,
        **dict.fromkeys(SETS, files_exist),
    },
    registry.DATA.table("files"),
)


@lru_cache(maxsize=1)  # the trials of a sweep that one process runs mostly have the same data, and never change them
def load(data: config.Data, runtime: config.Runtime, device: torch.device | str) -> Splits:
    """Training, validation and test examples for ``device``; no seed of a trial has a part in them.

    They stay there, unless they are larger than ``runtime.memory_share`` of a GPU's free memory: then images stream to it from
    host memory. The batches are the same.

    Raises:
        DataNotFound: the files are not in ``runtime.data_dir``, or could not be downloaded.
        ValueError: ``data`` leaves nothing to train on.
    """
    train, test = LOADERS[data.dataset](data.dataset, runtime.data_dir, runtime.download)
    device = torch.device(device)
    parts = split(train, test, data)
    size = sum(part.images.nbytes for part in parts)
    streamed = device.type == "cuda" and size > runtime.memory_share * torch.cuda.mem_get_info(device)[0]
    return Splits(*(part.to(device, streamed) for part in parts))


def available(data: config.Data, runtime: config.Runtime) -> bool:
    """Whether the data set's files are there; they are not read, so they may still prove damaged."""
    return data.dataset not in FILES or FILES[data.dataset](data.dataset, runtime.data_dir)


def fetch(name: str, runtime: config.Runtime) -> None:
    """See that a data set's files are there, without reading them; download them where ``runtime`` says so.

    Raises:
        DataNotFound: they are not, or could not be downloaded.
    """
    if name in FILES and not FILES[name](name, runtime.data_dir):
        LOADERS[name](name, runtime.data_dir, runtime.download)
