"""Features embedded in the plane by t-SNE."""

import numpy as np

from trainables import config
from trainables.data.splits import sample
from trainables.measures.subject import Array, Floats, Subject, array
from trainables.rng import derive


def embed(E: Floats, perplexity: float, seed: int) -> Floats:
    """Compute t-SNE coordinates (N, 2) of features (N, d); all 0 where the features are constant.

    ``perplexity``: effective number of neighbours of a point. ``seed``: in [0, 2^32); equal seeds give equal coordinates.

    Raises:
        ValueError: ``perplexity`` is not less than N.
    """
    from sklearn.manifold import TSNE  # here, because training does not need scikit-learn
    from threadpoolctl import threadpool_limits

    if perplexity >= len(E):
        raise ValueError(f"perplexity = {perplexity}: must be less than the number of points, {len(E)}")
    if not np.ptp(E, axis=0).any():
        return np.zeros((len(E), 2))
    # With several threads, the order of summation varies, and its rounding changes the coordinates.
    with threadpool_limits(limits=1):
        # In float32, as the network computed them.
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        coordinates: Floats = tsne.fit_transform(E.astype(np.float32)).astype(np.float64)
    return coordinates


def tsne(spec: config.TSNE, subject: Subject) -> dict[str, Array]:
    """Embed the pooled features of natural images and, with an attack, of adversarial images in one plane.

    Returns:
        ``coordinates``: (N', 2). ``labels``: (N',). ``adversarial``: whether a point belongs to an attacked image, (N',).
        ``indices``: index of its test example, (N',). The natural points come first.

    Raises:
        ValueError: ``perplexity`` is not less than the number of points.
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
