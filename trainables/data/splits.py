"""Splits into training, validation and test examples, the same for every seed of a trial."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables import config
from trainables.data.examples import Examples


class Splits(NamedTuple):
    """Disjoint sets of examples; ``validation`` is empty where nothing is held out."""

    train: Examples
    validation: Examples
    test: Examples


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """Return a shuffled order, int64 (N,), whose every prefix has approximately the class proportions of the whole.

    Each class is shuffled and spread evenly over the order. With C classes, a class with share p of all examples has
    p n +- (1 + p C) / 2 examples among the first n: within one where all classes are equally large.
    """
    classes = labels.numpy()
    # numpy's legacy stream is frozen (NEP 19); torch's may change, which would change the test sets.
    random_state = np.random.RandomState(seed)
    place = np.empty(len(classes))
    for c in np.unique(classes):
        members = np.flatnonzero(classes == c)
        place[members] = (random_state.permutation(len(members)) + 0.5) / len(members)
    return torch.from_numpy(np.argsort(place, kind="stable"))


def sample(labels: Tensor, n: int) -> Tensor:
    """Choose ``n`` of the test examples with these ``labels``, (N,): ascending indices, int64 (min(n, N),).

    The choice is stratified, the same for every trial, and independent of the shuffles of the splits.
    """
    return stratified_order(labels.cpu(), seed=4)[:n].sort().values


def split(train: Examples, test: Examples, data: config.Data) -> Splits:
    """Cut both sets to ``data.examples``, then hold the validation examples out of ``train``.

    Raises:
        ValueError: fewer than two examples are left to train on.
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
