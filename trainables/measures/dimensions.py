"""Number of features in use, and of principal components that explain most of their variance."""

import numpy as np

from trainables import config
from trainables.measures.subject import Array, Floats, Subject, array


def units(E: Floats) -> int:
    """Count the features (N, d) that are not 0 in every example."""
    return int((E != 0).any(axis=0).sum())


def explained_variance(E: Floats) -> Floats:
    """Compute the share of the variance of features (N, d) that each principal component explains: (min(N, d),), descending.

    All shares are 0 where the features are constant.
    """
    from sklearn.decomposition import PCA  # here, because training does not need scikit-learn

    if not np.ptp(E, axis=0).any():
        return np.zeros(min(E.shape))
    ratios: Floats = PCA(svd_solver="full").fit(E).explained_variance_ratio_
    return ratios


def principal_dimensions(explained: Floats, variance: float) -> int:
    """Count the components needed to explain more than the share ``variance``, in (0, 1); 0 where features are constant."""
    enough = np.cumsum(explained) > variance
    return int(enough.argmax()) + 1 if enough.any() else 0


def dimensions(spec: config.Dimensions, subject: Subject) -> dict[str, Array]:
    """Measure the pooled features over the test set (AFD, section 4, "Learning a sparse representation", and Table A5).

    Returns:
        ``units``: number of features that are not always 0, (). ``dimensions``: number of components for ``variance``, ().
        ``explained``: share of the variance that each component explains, (min(N, d),).
    """
    E = array([subject.features(batch.x_adv[0]) for batch in subject.batches(spec.attack)])
    explained = explained_variance(E)
    return {
        "units": np.array(units(E)),
        "dimensions": np.array(principal_dimensions(explained, spec.variance)),
        "explained": explained,
    }
