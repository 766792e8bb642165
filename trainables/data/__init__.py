"""Data sets as tensors on the device or streamed to it, one source of data sets a file. Read ``examples`` first."""

from functools import lru_cache

import torch

from trainables import config
from trainables.config.terms.registry import DATA
from trainables.data.augment import augment
from trainables.data.batches import batches_per_epoch, evaluation_batches, training_batches
from trainables.data.examples import DataNotFound, DataSource, Examples, checksum
from trainables.data.splits import Splits, sample, split

__all__ = [
    "DataNotFound",
    "DataSource",
    "Examples",
    "Splits",
    "augment",
    "available",
    "batches_per_epoch",
    "checksum",
    "evaluation_batches",
    "fetch",
    "load",
    "load_checked",
    "sample",
    "training_batches",
]


def load(data: config.Data, runtime: config.Runtime, device: torch.device | str) -> Splits:
    """Load the training, validation and test examples for ``device``; they do not depend on the trial's seed.

    They are kept on the device, unless they exceed ``runtime.memory_share`` of a GPU's free memory: then images are streamed
    from host memory, in the same batches.

    Raises:
        DataNotFound: the files are not in ``runtime.data_dir``, or could not be downloaded.
        ValueError: ``data`` leaves nothing to train on.
    """
    return load_checked(data, runtime, device)[0]


@lru_cache(maxsize=1)  # trials of a sweep in one process mostly share their data, and never change them
def load_checked(data: config.Data, runtime: config.Runtime, device: torch.device | str) -> tuple[Splits, str]:
    """Load the same as :func:`load`, with the :func:`~trainables.data.examples.checksum` of the whole data set."""
    train, test = _source(data.dataset).load(data.dataset, runtime.data_dir, runtime.download)
    device = torch.device(device)
    parts = split(train, test, data)
    size = sum(part.images.nbytes for part in parts)
    streamed = device.type == "cuda" and size > runtime.memory_share * torch.cuda.mem_get_info(device)[0]
    return Splits(*(part.to(device, streamed) for part in parts)), checksum(train, test)


def available(data: config.Data, runtime: config.Runtime) -> bool:
    """Whether the data set's files exist; they are not read, so they may be damaged."""
    exists = _source(data.dataset).exists
    return exists is None or exists(data.dataset, runtime.data_dir)


def fetch(name: str, runtime: config.Runtime) -> None:
    """Read a data set once, as trials will do; download missing files where ``runtime`` allows it.

    Raises:
        DataNotFound: files are missing or damaged, could not be downloaded, or a plugin's loader failed.
    """
    source = _source(name)
    missing = source.exists is not None and not source.exists(name, runtime.data_dir)
    try:
        source.load(name, runtime.data_dir, runtime.download and missing)
    except DataNotFound:
        raise
    except Exception as error:  # a plugin's loader may raise any
        reason = (str(error).splitlines() or [""])[0]
        raise DataNotFound(f"data set {name} cannot be read: {type(error).__name__}: {reason}") from error


def _source(name: str) -> DataSource:
    source: DataSource = DATA.load(name)
    return source
