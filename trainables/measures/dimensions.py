"""How much of its features' space a network uses."""

import numpy as np

from trainables import config
from trainables.measures.subject import Array, Floats, Subject, array


def units(E: Floats) -> int:
    """How many of the features (N, d) are not 0 in every example."""
    return int((E != 0).any(axis=0).sum())


def explained_variance(E: Floats) -> Floats:
    """Share of the variance of features (N, d) that each principal component explains, the largest first: (min(N, d),).

    All 0 where nothing varies.
    """
    from sklearn.decomposition import PCA  # here: whoever only trains has no scikit-learn

    if not np.ptp(E, axis=0).any():
        return np.zeros(min(E.shape))
    ratios: Floats = PCA(svd_solver="full").fit(E).explained_variance_ratio_
    return ratios


def principal_dimensions(explained: Floats, variance: float) -> int:
    """The fewest components that explain more than ``variance``, in (0, 1), together; 0 where nothing varies."""
    enough = np.cumsum(explained) > variance
    return int(enough.argmax()) + 1 if enough.any() else 0


def dimensions(spec: config.Dimensions, subject: Subject) -> dict[str, Array]:
    """Of the pooled features over the test set (AFD, section 4, "Learning a sparse representation", and Table A5).

    Returns:
        ``units``: features that are not always 0, (). ``dimensions``: principal components for ``variance``, ().
        ``explained``: share of the variance that each component explains, (min(N, d),).
    """
    E = array([subject.features(batch.x_adv[0]) for batch in subject.batches(spec.attack)])
    explained = explained_variance(E)
    return {
        "units": np.array(units(E)),
        "dimensions": np.array(principal_dimensions(explained, spec.variance)),
        "explained": explained,
    }
