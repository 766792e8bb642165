"""Accuracies from the ranks of an evaluation, and nothing else."""

import numpy as np
from numpy.typing import NDArray

from trainables.measures.subject import Floats


def class_accuracy(ranks: NDArray[np.integer], labels: NDArray[np.integer], classes: int) -> Floats:
    """Accuracy of each class, (classes,) in [0, 1]; nan where there is no example of it (CIFS, Figure A.1).

    ``ranks``: how many classes score at least as high as the true one, (N,); 0 is right. ``labels``: (N,).
    """
    right = np.bincount(labels[ranks == 0], minlength=classes)
    all_ = np.bincount(labels, minlength=classes)
    accuracy: Floats = np.full(classes, np.nan)
    np.divide(right, all_, out=accuracy, where=all_ > 0)
    return accuracy


def top_k_accuracy(ranks: NDArray[np.integer], k: int) -> float:
    """Share of the examples whose true class is among the ``k`` >= 1 that score highest (CIFS, Table 4)."""
    return float((ranks < k).mean())
