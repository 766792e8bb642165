import hashlib

import torch
from sklearn.datasets import load_digits

from trainables.config import DATASETS, Data, Runtime
from trainables.data import available, load

DIGITS = Data(dataset="digits", validation=0.02)


def test_sizes_shapes_and_shades():
    splits = load(DIGITS, Runtime(), "cpu")
    info = DATASETS["digits"]
    assert len(splits.train) + len(splits.validation) == info.train
    assert len(splits.test) == info.test
    assert len(splits.validation) == 29  # 2% of 1,437
    shades = {round(v * 255 / 16) for v in range(17)}
    for part in splits:
        assert part.images.dtype == torch.uint8
        assert part.images.shape == (len(part), info.channels, info.size, info.size)
        assert set(part.images.unique().tolist()) <= shades
        assert part.labels.dtype == torch.int64


def test_the_parts_are_the_whole_and_stratified():
    splits = load(DIGITS, Runtime(), "cpu")
    images, labels = load_digits(return_X_y=True)
    whole = sorted((round(255 / 16 * image.sum()), label) for image, label in zip(images, labels, strict=True))
    ours = [(round(i.sum().item()), c.item()) for part in splits for i, c in zip(part.images.float(), part.labels, strict=True)]
    assert all(
        abs(a[0] - b[0]) <= 32 for a, b in zip(sorted(ours), whole, strict=True)
    )  # 64 pixels, each rounded by at most 0.5
    for part, share in ((splits.test, 360 / 1797), (splits.validation, 29 / 1797)):
        expected = share * torch.bincount(torch.as_tensor(labels))
        assert ((torch.bincount(part.labels, minlength=10) - expected).abs() <= 2).all()


def test_the_split_is_the_same_for_ever():
    """Its test set is part of what a result means: these sums may not change."""
    splits = load(DIGITS, Runtime(), "cpu")
    sums = [hashlib.sha256(part.images.numpy().tobytes() + part.labels.numpy().tobytes()).hexdigest()[:16] for part in splits]
    assert sums == ["258f4419a6f63337", "7ca0d83aa7f508c5", "5b4950ad9fd003da"]


def test_digits_are_always_available():
    assert available(DIGITS, Runtime(data_dir="/nowhere"))
