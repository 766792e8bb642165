"""The real loader on a small tree in the true layout; only the numbers of classes and images are made smaller."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.config import Data, DatasetInfo, Runtime
from trainables.config import data as data_config
from trainables.data import DataNotFound, available, fetch, load
from trainables.data.tiny_imagenet import tiny_imagenet

NAME = "tiny-imagenet"
DATA = Data(dataset=NAME, validation=0.25)

#: As in the real wnids.txt: not sorted.
WNIDS = ["n02124075", "n04067472", "n01443537"]
PER_CLASS, TEST = 4, 5


def colour(wnid, i):
    """One colour for each image; every third one is stored in shades of grey, as some of the real ones are."""
    red = 40 * sorted(WNIDS).index(wnid) + 20
    return ("L", red) if i % 3 == 2 else ("RGB", (red, 30 * i + 10, 200))


def write_image(file, mode, value, size=(64, 64)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(file, "JPEG", quality=95)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setitem(data_config.DATA.infos, NAME, DatasetInfo(len(WNIDS), 3, 64, len(WNIDS) * PER_CLASS, TEST))
    folder = tmp_path / "tiny-imagenet-200"
    for wnid in WNIDS:
        for i in range(PER_CLASS):
            write_image(folder / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", *colour(wnid, i))
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t10\t63\t58\n")
    (folder / "wnids.txt").write_text("\n".join(WNIDS))
    (folder / "words.txt").write_text("n01443537\tgoldfish, Carassius auratus\n")
    lines = []
    for i in range(TEST):
        write_image(folder / "val" / "images" / f"val_{i}.JPEG", *colour(WNIDS[i % 3], i))
        lines.append(f"val_{i}.JPEG\t{WNIDS[i % 3]}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    write_image(folder / "test" / "images" / "test_0.JPEG", "RGB", (1, 2, 3))
    return tmp_path


def read(root):
    return tiny_imagenet(NAME, str(root), False)


def shown(mode, value):
    return value if mode == "RGB" else (value,) * 3


def test_images_and_labels_are_what_the_files_hold(root):
    train, test = read(root)
    for part, n in ((train, 12), (test, 5)):
        assert part.images.dtype == torch.uint8
        assert part.images.shape == (n, 3, 64, 64)
        assert part.labels.dtype == torch.int64
    assert train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert test.labels.tolist() == [sorted(WNIDS).index(WNIDS[i % 3]) for i in range(TEST)]
    expected = [shown(*colour(wnid, i)) for wnid in sorted(WNIDS) for i in range(PER_CLASS)]
    expected_test = [shown(*colour(WNIDS[i % 3], i)) for i in range(TEST)]
    for part, colours in ((train, expected), (test, expected_test)):
        difference = part.images.int() - torch.tensor(colours)[:, :, None, None]
        assert difference.abs().max() <= 3  # JPEG


def test_height_and_width_are_not_swapped(root):
    file = root / "tiny-imagenet-200" / "val" / "images" / "val_0.JPEG"
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:16] = 255
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    image = read(root)[1].images[0]
    assert image[:, :16].min() > 200
    assert image[:, 16:].max() < 55


def test_load_splits_them(root):
    assert available(DATA, Runtime(data_dir=str(root)))
    assert [len(part) for part in load(DATA, Runtime(data_dir=str(root)), "cpu")] == [9, 3, 5]


def test_images_are_decoded_once(root):
    first = read(root)
    shutil.rmtree(root / "tiny-imagenet-200")
    assert [file.name for file in root.iterdir()] == ["tiny-imagenet-200.npz"]
    assert available(DATA, Runtime(data_dir=str(root)))
    for one, other in zip(first, read(root), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("length", [0, 10, -5, -1000])
def test_a_damaged_cache_is_made_again(root, length):
    first = read(root)
    cache = root / "tiny-imagenet-200.npz"
    whole = cache.read_bytes()
    cache.write_bytes(whole[:length])
    assert torch.equal(read(root)[0].images, first[0].images)
    assert len(cache.read_bytes()) == len(whole)


def test_a_folder_that_cannot_be_written_is_read_each_time(root, monkeypatch):
    def full(stream, **arrays):
        stream.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert len(read(root)[0]) == len(read(root)[0]) == 12
    assert [file.name for file in root.iterdir()] == ["tiny-imagenet-200"]


def test_a_missing_set_says_how_to_get_it(tmp_path):
    runtime = Runtime(data_dir=str(tmp_path), download=True)
    assert not available(DATA, runtime)
    for attempt in (lambda: load(DATA, runtime, "cpu"), lambda: fetch(NAME, runtime)):
        with pytest.raises(DataNotFound) as caught:
            attempt()
        message = str(caught.value)
        assert "\n" not in message
        assert all(part in message for part in (NAME, str(tmp_path), "no download", "tiny-imagenet-200.zip", "--data-dir"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: next(folder.glob("train/*/images/*.JPEG")).unlink(),
        lambda folder: (folder / "val/images/val_1.JPEG").unlink(),
        lambda folder: (folder / "val/images/val_1.JPEG").write_bytes(b""),
        lambda folder: (file := folder / "val/images/val_1.JPEG").write_bytes(file.read_bytes()[:-100]),
        lambda folder: write_image(folder / "val/images/val_1.JPEG", "RGB", (0, 0, 0), size=(32, 32)),
        lambda folder: shutil.rmtree(folder / "train" / WNIDS[0]),
        lambda folder: (folder / "wnids.txt").write_text("\n".join(WNIDS[:2])),
        lambda folder: (folder / "val/val_annotations.txt").write_text(""),
        lambda folder: (folder / "val/val_annotations.txt").write_text("val_0.JPEG\n" * TEST),
        lambda folder: (folder / "val/val_annotations.txt").write_bytes(b"\xff\xfe"),
    ],
)
def test_a_damaged_folder_is_no_data_set(root, damage):
    damage(root / "tiny-imagenet-200")
    with pytest.raises(DataNotFound, match=r"tiny-imagenet in .* is missing or damaged"):
        read(root)
    assert not (root / "tiny-imagenet-200.npz").exists()
