"""The checksum of a data set, against one of its plain bytes."""

import hashlib

import numpy as np
import torch
from sklearn.datasets import load_digits

from trainables.config import Data, Runtime
from trainables.data import Examples, checksum, load_checked
from trainables.data.digits import DIGITS


def test_it_is_the_sha_256_of_images_and_labels():
    random = np.random.RandomState(0)
    train, test = (random.randint(256, size=(n, 3, 4, 4), dtype=np.uint8) for n in (7, 2))
    labels = [3, 1, 4, 1, 5, 9, 2], [6, 5]
    plain = train.tobytes() + b"".join(n.to_bytes(8, "little") for n in labels[0])
    plain += test.tobytes() + b"".join(n.to_bytes(8, "little") for n in labels[1])
    parts = [Examples(torch.from_numpy(x), torch.tensor(y)) for x, y in ((train, labels[0]), (test, labels[1]))]
    assert checksum(*parts) == hashlib.sha256(plain).hexdigest()
    strided = Examples(parts[0].images.to(memory_format=torch.channels_last), parts[0].labels)
    assert checksum(strided, parts[1]) == checksum(*parts), "the layout in memory does not matter"


def test_one_other_pixel_or_label_is_another_checksum():
    train, test = DIGITS.load("digits", "", False)
    before = checksum(train, test)
    test.labels[-1] = (test.labels[-1] + 1) % 10
    changed = checksum(train, test)
    train.images[0, 0, 0, 0] ^= 1
    assert len({before, changed, checksum(train, test)}) == 3


def test_a_trials_data_have_that_of_the_whole_set_whichever_part_they_use():
    train, test = DIGITS.load("digits", "", False)
    (_, whole), (_, part) = (load_checked(Data(dataset="digits", examples=n, crop=0), Runtime(), "cpu") for n in (None, 64))
    assert whole == part == checksum(train, test)
    assert len(train) + len(test) == len(load_digits().target)
