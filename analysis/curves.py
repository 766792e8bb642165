"""Accuracy as a function of an attack's strength, from one evaluation: arrays in, arrays out.

Accuracies are fractions in [0, 1]. ``broken`` and ``distance`` are columns of :data:`analysis.record.schema.EVALUATIONS`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.record.schema import NEVER

Floats = NDArray[np.float64]


def accuracy_by_iterations(broken: NDArray[np.integer], iterations: int) -> Floats:
    """Compute accuracy after 0, 1, ... gradient steps over all restarts: (iterations + 1,); after 0, natural or at the start.

    Each is the accuracy of an attack with so many steps of the same size from the same start: PGD-20 is the beginning of
    PGD-100. It does not hold for attacks whose steps depend on their number, such as MD.

    Args:
        broken: (N,), steps after which each example was first broken, or NEVER.
        iterations: how many steps were made.

    Raises:
        ValueError: an example was broken after more than ``iterations`` steps, or there is no example.
    """
    if not len(broken):
        raise ValueError("there is no example")
    there = broken[broken != NEVER]
    if len(there) and there.max() > iterations:
        raise ValueError(f"iterations = {iterations}: an example was broken after {there.max()}")
    lost = np.bincount(there, minlength=iterations + 1).cumsum()
    return 1 - lost / len(broken)


def accuracy_by_restarts(broken: NDArray[np.integer], iterations: int, restarts: int) -> Floats:
    """Compute accuracy after 1, 2, ... restarts: (restarts,).

    Args:
        broken: (N,), steps over all restarts after which each example was first broken, or NEVER. An example that a start
            breaks counts as broken by the first step of that restart.
        iterations: steps of each restart.
        restarts: how many restarts were made.

    Raises:
        ValueError: as :func:`accuracy_by_iterations`.
    """
    return accuracy_by_iterations(broken, iterations * restarts)[iterations::iterations]


def accuracy_by_eps(distance: ArrayLike, eps: ArrayLike) -> Floats:
    """Compute accuracy at each ``eps`` (E,) from the distances (N,) at which a minimal-norm attack found errors: (E,).

    An example is right below its distance, and wrong from there on; at eps = 0 this is natural accuracy.

    Raises:
        ValueError: there is no example, or a distance is NaN.
    """
    found = np.sort(np.asarray(distance, dtype=np.float64))
    if not len(found) or np.isnan(found).any():
        raise ValueError("distances must be numbers, and at least one")
    return 1 - np.searchsorted(found, np.asarray(eps, dtype=np.float64), side="right") / len(found)


def normalised_auc(eps: ArrayLike, accuracy: ArrayLike) -> float:
    """Compute the area under accuracy as a function of eps, divided by the range of eps: at most 1 (AFD, Table 2).

    By the trapezoidal rule. The paper does not give its eps, so areas are comparable only over one grid.

    Args:
        eps: (E,) with E >= 2, rising.
        accuracy: (E,), in [0, 1], at each eps.

    Raises:
        ValueError: fewer than two eps, they do not rise, or there are not as many accuracies.
    """
    grid, values = np.asarray(eps, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if len(grid) < 2 or (np.diff(grid) <= 0).any():
        raise ValueError("eps: must be two numbers or more that rise")
    if grid.shape != values.shape:
        raise ValueError(f"accuracy: must be a number for each of the {len(grid)} eps, not {len(values)}")
    return float(np.trapezoid(values, grid) / (grid[-1] - grid[0]))
