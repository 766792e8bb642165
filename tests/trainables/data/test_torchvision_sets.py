"""The real loaders on tiny files in the true formats; only the checksums of the downloads are replaced."""

import gzip
import hashlib
import pickle
import struct

import numpy as np
import pytest
import scipy.io
import torch
import torchvision.datasets

from trainables.config import DATASETS, Data, Runtime
from trainables.data import DataNotFound, available, fetch, load
from trainables.data.torchvision_sets import SETS, torchvision_set

TRAIN, TEST = 40, 20
NAMES = list(SETS)


def arrays(name, n, seed):
    """Images (n, channels, size, size) and labels, every class in turn."""
    info = DATASETS[name]
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (n, info.channels, info.size, info.size), dtype=np.uint8)
    return images, np.arange(n) % info.classes


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_cifar(folder, name, parts, patch):
    cls, key, meta = {
        "cifar10": (torchvision.datasets.CIFAR10, "labels", ("batches.meta", "label_names")),
        "cifar100": (torchvision.datasets.CIFAR100, "fine_labels", ("meta", "fine_label_names")),
    }[name]
    folder = folder / cls.base_folder
    folder.mkdir()

    def dump(file, value):
        (folder / file).write_bytes(pickle.dumps(value, protocol=2))
        return [file, md5(folder / file)]

    for attribute, (images, labels) in zip(("train_list", "test_list"), parts, strict=True):
        files = [file for file, _ in getattr(cls, attribute)]
        chunks = zip(files, np.array_split(images, len(files)), np.array_split(labels, len(files)), strict=True)
        sums = [dump(file, {"data": x.reshape(len(x), -1), key: y.tolist()}) for file, x, y in chunks]
        patch.setattr(cls, attribute, sums)
    file, key = meta
    names = [f"class {i}" for i in range(DATASETS[name].classes)]
    patch.setattr(cls, "meta", {"filename": file, "key": key, "md5": dump(file, {key: names})[1]})


def write_svhn(folder, parts, patch):
    sums = {}
    for part, (images, labels) in zip(("train", "test"), parts, strict=True):
        file = folder / f"{part}_32x32.mat"
        y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]  # the file calls the digit 0 class 10
        scipy.io.savemat(file, {"X": images.transpose(2, 3, 1, 0), "y": y})
        sums[part] = ["", file.name, md5(file)]
    patch.setattr(torchvision.datasets.SVHN, "split_list", sums)


def idx(values):
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def write_mnist(folder, name, parts, patch):
    folder = folder / {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[name] / "raw"
    folder.mkdir(parents=True)
    for part, (images, labels) in zip(("train", "t10k"), parts, strict=True):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(images[:, 0]))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write one data set to a folder; return its runtime and its arrays."""

    def write(name):
        parts = arrays(name, TRAIN, 0), arrays(name, TEST, 1)
        if name.startswith("cifar"):
            write_cifar(tmp_path, name, parts, monkeypatch)
        elif name == "svhn":
            write_svhn(tmp_path, parts, monkeypatch)
        else:
            write_mnist(tmp_path, name, parts, monkeypatch)
        return Runtime(data_dir=str(tmp_path)), parts

    return write


@pytest.mark.parametrize("name", NAMES)
def test_images_and_labels_are_what_the_files_hold(name, write):
    runtime, parts = write(name)
    for ours, (images, labels) in zip(torchvision_set(name, runtime.data_dir, False), parts, strict=True):
        assert ours.images.dtype == torch.uint8
        assert ours.images.is_contiguous()
        assert ours.labels.dtype == torch.int64
        assert np.array_equal(ours.images.numpy(), images)
        assert np.array_equal(ours.labels.numpy(), labels)


@pytest.mark.parametrize("name", NAMES)
def test_load_splits_them(name, write):
    runtime, _ = write(name)
    data = Data(dataset=name, validation=0.25, examples=20)
    assert available(data, runtime)
    assert [len(part) for part in load(data, runtime, "cpu")] == [15, 5, 20]


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_set_says_how_to_get_it(name, tmp_path):
    data, runtime = Data(dataset=name), Runtime(data_dir=str(tmp_path))
    assert not available(data, runtime)
    with pytest.raises(DataNotFound) as caught:
        load(data, runtime, "cpu")
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in (name, str(tmp_path), "--download", "--data-dir"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [0, 10, -5])
def test_a_damaged_file_is_no_data_set(name, length, write, tmp_path):
    runtime, _ = write(name)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:length])
    for read in (lambda: load(Data(dataset=name), runtime, "cpu"), lambda: fetch(name, runtime)):
        with pytest.raises(DataNotFound, match=f"{name} .*missing or damaged"):
            read()


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_download_gives_its_reason(name, tmp_path, monkeypatch):
    cls = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "svhn": "SVHN", "mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[
        name
    ]

    def download(self):
        raise OSError("no network\nand more")

    monkeypatch.setattr(getattr(torchvision.datasets, cls), "download", download)
    with pytest.raises(DataNotFound, match=f"{name} in .*: no network; fetch it") as caught:
        load(Data(dataset=name), Runtime(data_dir=str(tmp_path), download=True), "cpu")
    assert "\n" not in str(caught.value)


def test_mnist_may_lie_packed_as_it_is_downloaded(write, tmp_path, monkeypatch):
    """--download on a folder that holds the .gz files only: they are unpacked, nothing is fetched."""
    runtime, _ = write("mnist")
    sums = []
    for file in sorted((tmp_path / "MNIST/raw").iterdir()):
        packed = file.with_name(file.name + ".gz")
        packed.write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
        sums.append((packed.name, md5(packed)))
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
    assert not available(Data(dataset="mnist"), runtime)
    splits = load(Data(dataset="mnist"), Runtime(data_dir=str(tmp_path), download=True), "cpu")
    assert len(splits.test) == TEST
