"""Which examples a trial learns from."""

from collections import ChainMap
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from trainables.config.registry import DATA, OpenNames
from trainables.config.spec import Spec


class DatasetInfo(NamedTuple):
    """Shape of a data set: ``classes``, ``channels``, side in pixels, and numbers of training and test examples."""

    classes: int
    channels: int
    size: int
    train: int
    test: int


DATASETS: ChainMap[str, DatasetInfo] = ChainMap(
    {
        "cifar10": DatasetInfo(10, 3, 32, 50_000, 10_000),
        "cifar100": DatasetInfo(100, 3, 32, 50_000, 10_000),
        "svhn": DatasetInfo(10, 3, 32, 73_257, 26_032),
        "mnist": DatasetInfo(10, 1, 28, 60_000, 10_000),
        "fashion-mnist": DatasetInfo(10, 1, 28, 60_000, 10_000),
        "tiny-imagenet": DatasetInfo(200, 3, 64, 100_000, 10_000),
        "digits": DatasetInfo(10, 1, 8, 1_437, 360),
    },
    DATA.table("shapes"),
)


class Data(Spec):
    """Which examples, and how training images are augmented.

    ``dataset``: of ``tiny-imagenet`` the labelled validation set is the test set; its own test set has no labels.

    ``validation``: share of each class of the training set that is held out to choose the best checkpoint.
    ``crop``: zero padding in pixels before a random crop; ``flip``: random horizontal flips.
    ``examples``: use at most so many training and so many test examples (drawn once, the same for every seed).
    """

    dataset: Annotated[
        Literal["cifar10", "cifar100", "svhn", "mnist", "fashion-mnist", "tiny-imagenet", "digits"], OpenNames(DATA)
    ] = "cifar10"
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.02
    crop: Annotated[int, Field(ge=0)] = 4
    flip: bool = True
    examples: Annotated[int, Field(ge=10)] | None = None

    @property
    def info(self) -> DatasetInfo:
        return DATASETS[self.dataset]
