import pytest
import torch

from trainables.config import Data, Runtime
from trainables.data import Examples, batches_per_epoch, evaluation_batches, load, training_batches
from trainables.rng import Generators

PLAIN = Data(dataset="digits", crop=0, flip=False)


def examples(n, generator):
    images = torch.randint(256, (n, 1, 4, 4), generator=generator, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(n)  # identifies each example
    return Examples(images, torch.arange(n))


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(10, 5, [5, 5]), (12, 5, [5, 5, 2]), (11, 5, [5, 5]), (3, 5, [3]), (3, 1, [1, 1, 1])],
)
def test_a_training_epoch(n, batch_size, sizes, generator):
    data = examples(n, generator)
    epoch = list(training_batches(data, PLAIN, batch_size, Generators(0, "cpu")))
    assert [len(y) for _, y in epoch] == sizes
    assert batches_per_epoch(n, batch_size) == len(sizes)
    labels = torch.cat([y for _, y in epoch])
    assert len(labels.unique()) == sum(sizes)
    for x, y in epoch:
        assert x.dtype == torch.float32
        torch.testing.assert_close(x, data.images[y] / 255)
        assert 0 <= x.min() <= x.max() <= 1


def test_epochs_differ_and_a_seed_repeats_them(generator):
    data = examples(50, generator)
    one, other = Generators(0, "cpu"), Generators(0, "cpu")
    epochs = [
        [y for _, (_, ys) in enumerate(training_batches(data, PLAIN, 7, g)) for y in ys.tolist()] for g in (one, one, other)
    ]
    assert epochs[0] == epochs[2] != epochs[1]


def test_augmentation_draws_from_its_own_stream(generator):
    data, augmented = examples(50, generator), Data(dataset="digits", crop=1, flip=True)
    plain, moved = (list(training_batches(data, d, 7, Generators(0, "cpu"))) for d in (PLAIN, augmented))
    assert all(torch.equal(a[1], b[1]) for a, b in zip(plain, moved, strict=True))
    assert not torch.equal(plain[0][0], moved[0][0])


@pytest.mark.parametrize("batch_size", [1, 4, 11, 20])
def test_an_evaluation_sees_every_example_in_order(batch_size, generator):
    data = examples(11, generator)
    epoch = list(evaluation_batches(data, batch_size))
    assert torch.equal(torch.cat([y for _, y in epoch]), data.labels)
    torch.testing.assert_close(torch.cat([x for x, _ in epoch]), data.images / 255)


@pytest.mark.parametrize("batch_size", [5, 10, 50])
def test_streamed_batches_are_the_same_bit_for_bit(batch_size, generator):
    data, augmented = examples(51, generator), Data(dataset="digits", crop=1, flip=True)
    streamed = data.to("cpu", streamed=True)
    for one, other in (
        [training_batches(part, augmented, batch_size, Generators(0, "cpu")) for part in (data, streamed)],
        [evaluation_batches(part, batch_size) for part in (data, streamed)],
    ):
        for (x, y), (x_streamed, y_streamed) in zip(one, other, strict=True):
            assert torch.equal(x, x_streamed)
            assert torch.equal(y, y_streamed)


def test_a_streamed_epoch_never_waits_for_the_device():
    """Images are gathered where they are; labels and generators alone are on the device, which the host need not ask."""
    device = torch.device("meta")
    data = examples(20, torch.Generator()).to(device, streamed=True)
    assert data.images.device.type == "cpu"
    batches = list(data.batches(torch.arange(20), 8))
    assert [(x.device, y.device, len(x), len(y)) for x, y in batches] == [(device, device, n, n) for n in (8, 8, 4)]


@pytest.mark.parametrize(("share", "streamed"), [(0.9, True), (1.1, False)])
def test_a_set_larger_than_its_share_of_the_gpus_memory_is_streamed(share, streamed, monkeypatch):
    """A share of as much free memory as all images take."""
    size = 1797 * 64
    kept = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (size, 10 * size))
    monkeypatch.setattr(Examples, "to", lambda self, device, streamed: kept.append((device.type, streamed)) or self)
    load(Data(dataset="digits"), Runtime(memory_share=share), "cuda")
    assert kept == [("cuda", streamed)] * 3


def test_on_the_cpu_nothing_is_streamed():
    assert not any(part.streamed for part in load(Data(dataset="digits"), Runtime(memory_share=0.0), "cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_streamed_batches_are_the_same_on_a_gpu(generator):
    data, augmented = examples(51, generator), Data(dataset="digits", crop=1, flip=True)
    resident, streamed = data.to("cuda"), data.to("cuda", streamed=True)
    one, other = (training_batches(part, augmented, 5, Generators(0, "cuda")) for part in (resident, streamed))
    for (x, y), (x_streamed, y_streamed) in zip(one, other, strict=True):
        assert x_streamed.is_cuda
        assert torch.equal(x, x_streamed)
        assert torch.equal(y, y_streamed)
