"""Data sets, and which of their examples a trial uses."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import Field

from trainables.config.terms.registry import DATA, Entry, NameOf
from trainables.config.terms.spec import Spec


class DatasetInfo(NamedTuple):
    """Shape of a data set.

    Attributes:
        classes: how many classes there are.
        channels: of an image: 1 for grey ones, 3 for colours.
        size: side of an image in pixels.
        train: how many training examples there are.
        test: how many test examples there are.
    """

    classes: int
    channels: int
    size: int
    train: int
    test: int


for _name, _meaning, _implementation, _info in (
    (
        "cifar10",
        "Photographs of ten kinds of animals and vehicles",
        "torchvision_sets:TORCHVISION",
        (10, 3, 32, 50_000, 10_000),
    ),
    ("cifar100", "Photographs of a hundred kinds of things", "torchvision_sets:TORCHVISION", (100, 3, 32, 50_000, 10_000)),
    ("svhn", "Digits of house numbers in street views", "torchvision_sets:TORCHVISION", (10, 3, 32, 73_257, 26_032)),
    ("mnist", "Handwritten digits", "torchvision_sets:TORCHVISION", (10, 1, 28, 60_000, 10_000)),
    ("fashion-mnist", "Clothes, shoes and bags", "torchvision_sets:TORCHVISION", (10, 1, 28, 60_000, 10_000)),
    ("tiny-imagenet", "200 classes of ImageNet, made small", "tiny_imagenet:TINY_IMAGENET", (200, 3, 64, 100_000, 10_000)),
    ("digits", "Small handwritten digits, which come with scikit-learn", "digits:DIGITS", (10, 1, 8, 1_437, 360)),
):
    DATA.add(Entry(DATA.title, _name, DatasetInfo(*_info), f"trainables.data.{_implementation}", version=1, meaning=_meaning))

#: The shape of every data set by name.
DATASETS: Mapping[str, DatasetInfo] = MappingProxyType(DATA.infos)


class Data(Spec):
    """Which examples, and how training images are augmented.

    ``dataset``: its name; of ``tiny-imagenet`` the labelled validation set is the test set; its own test set has no labels.

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
