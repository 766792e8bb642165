"""Relative distance by which an attack moves the features."""

import numpy as np

from trainables import config
from trainables.measures.subject import Array, Floats, Subject, array


def relative_distance(E: Floats, E_adv: Floats) -> Floats:
    """Compute |E(x) - E(x')| / |E(x)|, L2 norms, of features (N, d): (N,); nan where E(x) is 0."""
    norm, distance = np.linalg.norm(E, axis=1), np.linalg.norm(E - E_adv, axis=1)
    relative: Floats = np.full(len(E), np.nan)
    np.divide(distance, norm, out=relative, where=norm > 0)
    return relative


def sensitivity(spec: config.Sensitivity, subject: Subject) -> dict[str, Array]:
    """Measure the pooled features' sensitivity to an attack (AFD, section 4, "Representation sensitivity"; Figure 4, left).

    Returns:
        ``sensitivity``: relative distance for every test example, (N,); the figure shows the median.
    """
    E, E_adv = [], []
    for batch in subject.batches(spec.attack):
        E.append(subject.features(batch.x))
        E_adv.append(subject.features(batch.x_adv[0]))
    return {"sensitivity": relative_distance(array(E), array(E_adv))}
