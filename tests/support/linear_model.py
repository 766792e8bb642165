"""Linear models, whose optimal perturbation is known in closed form."""

import torch
from torch import Tensor, nn

from trainables.outputs import Outputs


class Linear(nn.Module):
    """Logits W x + b on flat images, in float64, and ``aux`` further linear heads."""

    def __init__(self, generator: torch.Generator, pixels: int = 16, classes: int = 2, aux: int = 0) -> None:
        super().__init__()
        shape = (1 + aux, classes, pixels)
        self.weight = nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(shape[:2], generator=generator, dtype=torch.float64))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Outputs:
        x = x.flatten(1)
        logits = [x @ w.T + b for w, b in zip(self.weight, self.bias, strict=True)]
        return Outputs(logits[0], tuple(logits[1:]), x, x[:, :, None, None])


def images(generator: torch.Generator, n: int, side: int = 4, channels: int = 1) -> Tensor:
    """Return random images in [0, 1] with some pixels at 0 or 1."""
    x = torch.rand(n, channels, side, side, generator=generator, dtype=torch.float64)
    return (1.4 * x - 0.2).clamp(0, 1)
