"""Scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels in 17 shades, without a download."""

import numpy as np
import torch

from trainables.data.examples import DataSource, Examples
from trainables.data.splits import stratified_order

TRAIN = 1_437


def digits(name: str, data_dir: str, download: bool) -> tuple[Examples, Examples]:
    """Load 1,437 training and 360 test examples, a fixed stratified split; the arguments are not used."""
    from sklearn.datasets import load_digits  # scikit-learn takes a second to import

    images, labels = load_digits(return_X_y=True)
    shades = np.round(images * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    examples = Examples(torch.from_numpy(shades), torch.from_numpy(labels.astype(np.int64)))
    order = stratified_order(examples.labels, seed=0)
    return examples[order[:TRAIN]], examples[order[TRAIN:]]


#: The source of ``digits``, which its entry in :mod:`trainables.config.data` names.
DIGITS = DataSource(digits)
