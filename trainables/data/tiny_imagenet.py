"""Tiny ImageNet: 200 classes of ImageNet at 64 x 64 pixels, read from the folder that its archive unpacks to."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from trainables import config
from trainables.data.examples import DataNotFound, DataSource, Examples

FOLDER = "tiny-imagenet-200"

#: File with the decoded images next to the folder: reading it is faster than 110,000 files, above all on network disks.
CACHE = f"{FOLDER}.npz"


def tiny_imagenet_exists(name: str, data_dir: str) -> bool:
    """Whether the cache, or the folder with its lists of classes and labels, exists."""
    root = Path(data_dir).expanduser()
    lists = (root / FOLDER / "wnids.txt", root / FOLDER / "val" / "val_annotations.txt")
    return (root / CACHE).is_file() or all(file.is_file() for file in lists)


def tiny_imagenet(name: str, data_dir: str, download: bool) -> tuple[Examples, Examples]:
    """Load 100,000 training examples and, from the labelled validation set, 10,000 test examples, on the CPU.

    Classes are numbered in the order of their WordNet ids, as torchvision's ImageFolder numbers them. The images are decoded
    once and saved as ``tiny-imagenet-200.npz`` next to the folder, if that is writable; later calls read this file alone.

    Raises:
        DataNotFound: files are missing or damaged. ``download`` has no effect.
    """
    root = Path(data_dir).expanduser()
    arrays = _read_cache(root / CACHE)
    if arrays is None:
        try:
            arrays = _decode(root / FOLDER)
        except (OSError, ValueError) as error:
            raise DataNotFound(
                f"data set {name} in {root.absolute()} is missing or damaged; there is no download of it: unpack the official "
                f"archive, {FOLDER}.zip, there, or name its folder with --data-dir"
            ) from error
        _write_cache(root / CACHE, arrays)
    images, labels, test_images, test_labels = (torch.from_numpy(array) for array in arrays)
    return Examples(images, labels), Examples(test_images, test_labels)


#: Training images and labels, test images and labels: uint8 (N, 3, 64, 64), int64 (N,).
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]


def _decode(folder: Path) -> Arrays:
    """Decode the folder's images and read their labels.

    Raises:
        OSError: a file is missing or is no image.
        ValueError: an image has another size, a list is malformed, or the number of classes or images is wrong.
    """
    info = config.DATASETS["tiny-imagenet"]
    classes = {wnid: number for number, wnid in enumerate(sorted((folder / "wnids.txt").read_text().split()))}
    train = [(file, number) for wnid, number in classes.items() for file in _sorted_images(folder / "train" / wnid / "images")]
    test = []
    for line in (folder / "val" / "val_annotations.txt").read_text().splitlines():
        file, wnid, *_box = line.split("\t")
        if wnid not in classes:
            raise ValueError(f"{wnid} is none of the classes")
        test.append((folder / "val" / "images" / file, classes[wnid]))
    # An archive that was unpacked partially would be another data set.
    if (len(classes), len(train), len(test)) != (info.classes, info.train, info.test):
        raise ValueError(f"{len(classes)} classes with {len(train)} and {len(test)} images")
    return (*_images_and_labels(train, info), *_images_and_labels(test, info))


def _sorted_images(folder: Path) -> list[Path]:
    """List the images in an order that does not depend on the file system."""
    return sorted(folder.glob("*.JPEG"))


def _images_and_labels(
    files: Sequence[tuple[Path, int]], info: config.DatasetInfo
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode files in as many threads as there are CPUs; decoding a JPEG releases the interpreter lock."""
    from PIL import Image  # only this data set needs it

    images = np.empty((len(files), info.channels, info.size, info.size), np.uint8)

    def decode(i: int) -> None:
        with Image.open(files[i][0]) as image:
            if image.size != (info.size, info.size):
                raise ValueError(f"{files[i][0]} has {image.size} pixels")
            images[i] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)  # some are stored as greyscale

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, range(len(files))))
    return images, np.array([number for _, number in files], np.int64)


def _read_cache(file: Path) -> Arrays | None:
    """Read the cache; None where it is missing or damaged, since the folder has the same images."""
    try:
        with file.open("rb") as stream, np.load(stream) as arrays:
            return arrays["train_images"], arrays["train_labels"], arrays["test_images"], arrays["test_labels"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _write_cache(file: Path, arrays: Arrays) -> None:
    """Write the cache by a temporary file and a rename, since several trials may start at once; skip it if not writable."""
    temporary = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        with temporary.open("wb") as stream:
            np.savez(stream, train_images=arrays[0], train_labels=arrays[1], test_images=arrays[2], test_labels=arrays[3])
        temporary.replace(file)
    except OSError:  # read-only, or full
        with suppress(OSError):
            temporary.unlink()


#: The source of ``tiny-imagenet``, which its entry in :mod:`trainables.config.data` names.
TINY_IMAGENET = DataSource(tiny_imagenet, tiny_imagenet_exists)
