"""How far an attack moves the features."""

import numpy as np

from trainables import config
from trainables.measures.subject import Array, Floats, Subject, array


def relative_distance(E: Floats, E_adv: Floats) -> Floats:
    """|E(x) - E(x')| / |E(x)| of features (N, d), L2 norms: (N,); nan where E(x) is 0."""
    norm, distance = np.linalg.norm(E, axis=1), np.linalg.norm(E - E_adv, axis=1)
    relative: Floats = np.full(len(E), np.nan)
    np.divide(distance, norm, out=relative, where=norm > 0)
    return relative


def sensitivity(spec: config.Sensitivity, subject: Subject) -> dict[str, Array]:
    """Of the pooled features to an attack (AFD, section 4, "Representation sensitivity", and Figure 4, left).

    Returns:
        ``sensitivity``: (N,), of every test example; the figure shows the median.
    """
    E, E_adv = [], []
    for batch in subject.batches(spec.attack):
        E.append(subject.features(batch.x))
        E_adv.append(subject.features(batch.x_adv[0]))
    return {"sensitivity": relative_distance(array(E), array(E_adv))}
