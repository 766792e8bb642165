"""Random crops and flips of a whole batch at once, on the batch's device."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def augment(images: Tensor, crop: int, flip: bool, generator: Generator) -> Tensor:
    """Crop and mirror each image at random; returns images of the same shape.

    Args:
        images: (B, channels, H, W), of any dtype.
        crop: zero padding in pixels, from which an H x W window is cut at a uniformly random place; 0 for none.
        flip: whether each image is mirrored left to right with probability 1/2.
        generator: on the images' device.
    """
    B, channels, H, W = images.shape
    device = images.device
    rows = torch.arange(H, device=device).expand(B, H)
    columns = torch.arange(W, device=device).expand(B, W)
    if flip:
        mirrored = torch.rand(B, 1, generator=generator, device=device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    if crop:
        images = F.pad(images, (crop, crop, crop, crop))
        offsets = torch.randint(2 * crop + 1, (2, B, 1), generator=generator, device=device)
        rows, columns = rows + offsets[0], columns + offsets[1]
    b = torch.arange(B, device=device)[:, None, None, None]
    c = torch.arange(channels, device=device)[None, :, None, None]
    return images[b, c, rows[:, None, :, None], columns[:, None, None, :]]
