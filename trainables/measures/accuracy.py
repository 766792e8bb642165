"""Per-class and top-k accuracy from the ranks of an evaluation."""

import numpy as np
from numpy.typing import NDArray

from trainables.measures.subject import Floats


def class_accuracy(ranks: NDArray[np.integer], labels: NDArray[np.integer], classes: int) -> Floats:
    """Compute the accuracy of each class, (classes,) in [0, 1]; nan for classes without examples (CIFS, Figure A.1).

    ``ranks``: number of other classes that score at least as high as the true one, (N,); 0 is correct. ``labels``: (N,).
    """
    right = np.bincount(labels[ranks == 0], minlength=classes)
    all_ = np.bincount(labels, minlength=classes)
    accuracy: Floats = np.full(classes, np.nan)
    np.divide(right, all_, out=accuracy, where=all_ > 0)
    return accuracy


def top_k_accuracy(ranks: NDArray[np.integer], k: int) -> float:
    """Compute the share of examples whose true class is among the ``k`` >= 1 highest scores (CIFS, Table 4)."""
    return float((ranks < k).mean())
