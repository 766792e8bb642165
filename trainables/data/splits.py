"""Training, validation and test examples of a trial, the same for every seed."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables import config
from trainables.data.examples import Examples


class Splits(NamedTuple):
    """Disjoint examples; ``validation`` is empty where nothing is held out."""

    train: Examples
    validation: Examples
    test: Examples


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """A shuffle, int64 (N,), of which every beginning has the classes in the proportions of the whole.

    Each class is shuffled and spread evenly over the whole length. Of C classes, one with a share p of all examples is then
    within (1 + p C) / 2 examples of p n among the first n: within one where all classes are equally large.
    """
    classes = labels.numpy()
    # numpy's legacy stream is frozen for good (NEP 19); torch's may change, and with it what a test set is.
    chance = np.random.RandomState(seed)
    place = np.empty(len(classes))
    for c in np.unique(classes):
        members = np.flatnonzero(classes == c)
        place[members] = (chance.permutation(len(members)) + 0.5) / len(members)
    return torch.from_numpy(np.argsort(place, kind="stable"))


def sample(labels: Tensor, n: int) -> Tensor:
    """Which ``n`` test examples, int64 (min(n, N),) and rising, stand for all of those with these ``labels``, (N,).

    The same for every trial, and not by the shuffles of the splits.
    """
    return stratified_order(labels.cpu(), seed=4)[:n].sort().values


def split(train: Examples, test: Examples, data: config.Data) -> Splits:
    """Hold the validation examples out of ``train``, after both sets are cut to ``data.examples``.

    Raises:
        ValueError: so few examples that nothing is left to train on.
    """
    if data.examples is not None:
        train = train[stratified_order(train.labels, seed=1)[: data.examples]]
        test = test[stratified_order(test.labels, seed=2)[: data.examples]]
    held_out = max(1, round(data.validation * len(train))) if data.validation > 0 else 0
    if len(train) - held_out < 2:
        raise ValueError(
            f"data.validation={data.validation} leaves {len(train) - held_out} of {len(train)} examples to train on"
        )
    order = stratified_order(train.labels, seed=3)
    return Splits(train[order[held_out:]], train[order[:held_out]], test)
