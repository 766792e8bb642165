import pytest
import torch
from torch import nn

from trainables.attacks.methods.momentum import mim
from trainables.outputs import Outputs

EPS, STEP, ITERATIONS = 0.3, 0.05, 12


class Pixels(nn.Module):
    """Returns an image's pixels as logits."""

    def forward(self, x):
        return Outputs(x.flatten(1), (), x.flatten(1), x)


def wave(outputs, y):
    """An objective whose gradient changes its sign within the ball."""
    return torch.sin(9 * outputs.logits).sum(1)


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
def test_it_is_algorithm_1(decay, generator):
    x = torch.rand(3, 1, 4, 4, generator=generator, dtype=torch.float64)
    settings = {"eps": EPS, "step": STEP, "iterations": ITERATIONS, "objective": wave, "generator": generator}
    ours = mim(Pixels(), x, torch.zeros(3), decay=decay, **settings)
    theirs, g = x, torch.zeros_like(x)
    for _ in range(ITERATIONS):
        gradient = 9 * torch.cos(9 * theirs)
        g = decay * g + gradient / gradient.abs().sum((1, 2, 3), keepdim=True)
        theirs = (theirs + STEP * g.sign()).clamp(x - EPS, x + EPS).clamp(0, 1)
    torch.testing.assert_close(ours, theirs)
