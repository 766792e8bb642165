import pytest
import torch

from trainables.data import augment


def plain(images, crop, flip, generator):
    """Pad, crop and mirror one image at a time, with the same random numbers."""
    B, C, H, W = images.shape
    mirrored = torch.rand(B, 1, generator=generator) < 0.5 if flip else torch.zeros(B, 1, dtype=torch.bool)
    offsets = torch.randint(2 * crop + 1, (2, B, 1), generator=generator) if crop else torch.zeros(2, B, 1, dtype=torch.int64)
    result = torch.empty_like(images)
    for b in range(B):
        padded = torch.zeros(C, H + 2 * crop, W + 2 * crop, dtype=images.dtype)
        padded[:, crop : crop + H, crop : crop + W] = images[b]
        top, left = int(offsets[0, b]), int(offsets[1, b])
        cut = padded[:, top : top + H, left : left + W]
        result[b] = cut.flip(2) if mirrored[b] else cut
    return result


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(("B", "C", "H", "W"), [(1, 1, 8, 8), (7, 3, 5, 6)])
@pytest.mark.parametrize(("crop", "flip"), [(0, False), (0, True), (2, False), (4, True)])
def test_a_batch_is_its_images_one_by_one(crop, flip, B, C, H, W, dtype, generator):
    images = torch.randint(1, 256, (B, C, H, W), generator=generator, dtype=torch.uint8).to(dtype)
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    ours = augment(images, crop, flip, one)
    assert ours.dtype == dtype
    assert torch.equal(ours, plain(images, crop, flip, other))
    assert torch.equal(torch.rand(1, generator=one), torch.rand(1, generator=other))


def test_every_shift_and_both_sides_are_equally_likely(generator):
    """The average position of one bright pixel, in the middle and then next to it, shows the distribution."""
    images = torch.zeros(20_000, 1, 5, 5, dtype=torch.uint8)
    images[:, 0, 2, 2] = 255
    moved = augment(images, 1, True, generator).float().mean(0)[0] / 255
    assert moved[1:4, 1:4].flatten().tolist() == pytest.approx([1 / 9] * 9, abs=0.01)
    assert moved.sum().item() == pytest.approx(1)
    images[:, 0, 2, 2], images[:, 0, 2, 1] = 0, 255
    sides = augment(images, 0, True, generator).float().mean(0)[0, 2] / 255
    assert sides.tolist() == pytest.approx([0, 0.5, 0, 0.5, 0], abs=0.02)
