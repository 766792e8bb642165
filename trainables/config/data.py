"""Data sets, and which of their examples a trial uses."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import Field

from trainables.config.terms.registry import DATA, Entry, NameOf
from trainables.config.terms.spec import Spec


class DatasetInfo(NamedTuple):
    """Shape of a data set: ``classes``, ``channels``, side in pixels (``size``), numbers of ``train`` and ``test`` examples."""

    classes: int
    channels: int
    size: int
    train: int
    test: int


for _name, _implementation, _info in (
    ("cifar10", "torchvision_sets:TORCHVISION", DatasetInfo(10, 3, 32, 50_000, 10_000)),
    ("cifar100", "torchvision_sets:TORCHVISION", DatasetInfo(100, 3, 32, 50_000, 10_000)),
    ("svhn", "torchvision_sets:TORCHVISION", DatasetInfo(10, 3, 32, 73_257, 26_032)),
    ("mnist", "torchvision_sets:TORCHVISION", DatasetInfo(10, 1, 28, 60_000, 10_000)),
    ("fashion-mnist", "torchvision_sets:TORCHVISION", DatasetInfo(10, 1, 28, 60_000, 10_000)),
    ("tiny-imagenet", "tiny_imagenet:TINY_IMAGENET", DatasetInfo(200, 3, 64, 100_000, 10_000)),
    ("digits", "digits:DIGITS", DatasetInfo(10, 1, 8, 1_437, 360)),
):
    DATA.add(Entry(DATA.title, _name, _info, f"trainables.data.{_implementation}", version=1))

#: The shape of every data set by name.
DATASETS: Mapping[str, DatasetInfo] = MappingProxyType(DATA.infos)


class Data(Spec):
    """The data set of a trial, and how its training images are augmented.

    ``dataset``: name; for ``tiny-imagenet`` the labelled validation set serves as test set, since its test set has no labels.
    ``validation``: share of each class of the training set that is held out to choose the best checkpoint.
    ``crop``: zero padding in pixels before a random crop; ``flip``: random horizontal flips.
    ``examples``: the largest number of training examples, and of test examples, to use; the same subset for every seed.
    """

    dataset: Annotated[str, NameOf(DATA)] = "cifar10"
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.02
    crop: Annotated[int, Field(ge=0)] = 4
    flip: bool = True
    examples: Annotated[int, Field(ge=10)] | None = None

    @property
    def info(self) -> DatasetInfo:
        return DATASETS[self.dataset]
