"""CIFAR-10, CIFAR-100, SVHN, MNIST and Fashion-MNIST, read by torchvision from a folder."""

from pathlib import Path
from typing import Any

import torch

from trainables.data.examples import DataNotFound, DataSource, Examples

_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

#: For each data set: the class in torchvision, its folder below ``data_dir``, and the files in it.
SETS = {
    "cifar10": ("CIFAR10", "cifar-10-batches-py", (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")),
    "cifar100": ("CIFAR100", "cifar-100-python", ("train", "test", "meta")),
    "svhn": ("SVHN", ".", ("train_32x32.mat", "test_32x32.mat")),
    "mnist": ("MNIST", "MNIST/raw", _IDX),
    "fashion-mnist": ("FashionMNIST", "FashionMNIST/raw", _IDX),
}


def files_exist(name: str, data_dir: str) -> bool:
    """Whether every file of the data set exists; they are not read."""
    _, folder, files = SETS[name]
    return all((Path(data_dir).expanduser() / folder / file).is_file() for file in files)


def torchvision_set(name: str, data_dir: str, download: bool) -> tuple[Examples, Examples]:
    """Load the training and test examples on the CPU; with ``download``, missing files are downloaded first.

    Raises:
        DataNotFound: the files are missing or damaged, or their download failed.
    """
    import torchvision.datasets  # here, because the import takes seconds, and plans and demos do not need it

    class_name, _, _ = SETS[name]
    make = getattr(torchvision.datasets, class_name)
    parts = [{"split": part} for part in ("train", "test")] if name == "svhn" else [{"train": True}, {"train": False}]
    try:
        train, test = (_examples(make(data_dir, download=download, **part)) for part in parts)
    except Exception as error:  # what torchvision raises depends on the set and on what is wrong with its files
        reason = f": {error}".splitlines()[0] if download else " is missing or damaged"
        raise DataNotFound(
            f"data set {name} in {Path(data_dir).expanduser().absolute()}{reason}; "
            "fetch it with --download, or name its folder with --data-dir"
        ) from error
    return train, test


def _examples(dataset: Any) -> Examples:
    """Convert torchvision's arrays, which are (N, H, W, 3) for CIFAR, (N, 3, H, W) for SVHN and (N, H, W) for MNIST."""
    images = torch.as_tensor(dataset.data)
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2)
    labels = dataset.labels if hasattr(dataset, "labels") else dataset.targets
    return Examples(images.contiguous(), torch.as_tensor(labels, dtype=torch.int64))


#: The source that the entries of these data sets in :mod:`trainables.config.data` name.
TORCHVISION = DataSource(torchvision_set, files_exist)
