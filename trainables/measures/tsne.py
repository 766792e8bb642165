"""Features in the plane."""

import numpy as np

from trainables import config
from trainables.data.splits import sample
from trainables.measures.subject import Array, Floats, Subject, array
from trainables.rng import derive


def embed(E: Floats, perplexity: float, seed: int) -> Floats:
    """t-SNE coordinates (N, 2) of features (N, d): the same for the same seed, in [0, 2^32). All 0 where nothing varies.

    Raises:
        ValueError: ``perplexity``, the number of neighbours that a point has, is not less than N.
    """
    from sklearn.manifold import TSNE  # here: whoever only trains has no scikit-learn
    from threadpoolctl import threadpool_limits

    if perplexity >= len(E):
        raise ValueError(f"perplexity = {perplexity}: must be less than the number of points, {len(E)}")
    if not np.ptp(E, axis=0).any():
        return np.zeros((len(E), 2))
    # Threads add their forces in the order in which they finish, and the rounding of a sum decides where points end.
    with threadpool_limits(limits=1):
        # In single precision, as the network computed them.
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        coordinates: Floats = tsne.fit_transform(E.astype(np.float32)).astype(np.float64)
    return coordinates


def tsne(spec: config.TSNE, subject: Subject) -> dict[str, Array]:
    """Of pooled features, natural and, where there is an attack, adversarial, all in one plane.

    Returns:
        ``coordinates``: (N', 2). ``labels``: (N',). ``adversarial``: whether a point is an attacked image, (N',). ``indices``:
        which test example it is of, (N',). The natural points come first.

    Raises:
        ValueError: fewer points than ``perplexity`` asks for.
    """
    labels = subject.examples.labels.cpu()
    chosen = sample(labels, spec.examples)
    E, E_adv = [], []
    for batch in subject.at(chosen).batches(spec.attack):
        E.append(subject.features(batch.x))
        E_adv.append(subject.features(batch.x_adv[0]))
    kinds = 1 if isinstance(spec.attack, config.Natural) else 2
    points = np.concatenate([array(E), array(E_adv)][:kinds])
    coordinates = embed(points, spec.perplexity, derive(subject.seed, "t-sne") % 2**32)
    return {
        "coordinates": coordinates,
        "labels": np.tile(labels[chosen].numpy(), kinds),
        "adversarial": np.repeat(np.arange(kinds), len(chosen)).astype(bool),
        "indices": np.tile(chosen.numpy(), kinds),
    }
