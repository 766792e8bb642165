"""Misclassified start images for attacks that walk along the decision boundary."""

import torch
from torch import Generator, Tensor, nn

from trainables.attacks.building_blocks.surrogate import errs, predict
from trainables.config.module import AVERAGED

#: Number of random images tried, and of bisection steps between each image and its start.
TRIES, HALVINGS = 50, 10


@torch.no_grad()
def misclassified_starts(network: nn.Module, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return images (B, channels, size, size) just across the decision boundary, and whether each is misclassified, (B,).

    Candidates are tried in turn: the negative, black, white, uniform noise, and last the other images of the batch, which makes
    an example depend on its batch. Bisection then moves them towards x. Call it inside :func:`.gradient.frozen`.
    """
    start, found = x.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def attempt(candidate: Tensor) -> None:
        better = errs(predict(network, candidate, AVERAGED), y) & ~found
        start[better] = candidate[better]
        found.logical_or_(better)

    for candidate in (1 - x, torch.zeros_like(x), torch.ones_like(x)):
        attempt(candidate)
    for _ in range(TRIES):
        attempt(torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype))
    for shift in range(1, min(len(x), TRIES)):
        if found.all():
            break
        attempt(x.roll(shift, 0))

    near, far = torch.zeros(len(x), device=x.device, dtype=x.dtype), torch.ones(len(x), device=x.device, dtype=x.dtype)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        is_adv = errs(predict(network, torch.lerp(x, start, middle[:, None, None, None]), AVERAGED), y)
        near, far = torch.where(is_adv, near, middle), torch.where(is_adv, middle, far)
    across = torch.where((far < 1)[:, None, None, None], torch.lerp(x, start, far[:, None, None, None]), start)
    return across, found
