"""MD against its authors' algorithm, written out plainly: HanxunH/MDAttack, 573366b, attacks/MD.py, MDAttack.perturb."""

import math

import pytest
import torch

from tests.support.trained_digits import EPS, examples, robust, run
from trainables import config


def by_hand(network, x, y, spec, draws):
    """The most harmful image that the algorithm visits in [0, 1], and whether one is misclassified, of each example."""
    best, highest, broken = x.clone(), torch.full((len(x),), -torch.inf, dtype=x.dtype), torch.zeros(len(x), dtype=torch.bool)
    K, first, eps = spec.iterations, spec.first, spec.eps
    for other in (False, True):
        x_adv = x + eps * (2 * torch.rand(x.shape, generator=draws, dtype=x.dtype) - 1)
        for i in range(K + 1):
            x_adv = x_adv.detach().requires_grad_()
            z = network(x_adv).logits
            z_y, z_max = z.gather(1, y[:, None])[:, 0], z.scatter(1, y[:, None], -torch.inf).amax(1)
            alone = z_max if other else -z_y
            loss = z_y if i == 0 else alone if i < first else z_max - z_y
            (gradient,) = torch.autograd.grad(loss.sum(), x_adv)
            with torch.no_grad():
                image = x_adv.clamp(x - eps, x + eps).clamp(0, 1)
                z = network(image).logits
                margin = z.scatter(1, y[:, None], -torch.inf).amax(1) - z.gather(1, y[:, None])[:, 0]
                better = torch.where(broken == (margin >= 0), margin > highest, ~broken)
                best[better], highest = image[better], torch.where(better, margin, highest)
                broken |= margin >= 0
            j = i - first - 1 if i > first else i - 1
            size = eps * (1 + math.cos(math.pi * j / (K - first)))
            x_adv = (x_adv.detach() + size * gradient.sign()).clamp(x - eps, x + eps).clamp(0, 1)
    return best, broken


@pytest.mark.parametrize("first", [3, 6])
def test_md_is_its_authors(first):
    network, (x, y) = robust("AT").double(), examples(60)
    x, spec = x.double(), config.MD(eps=EPS, iterations=12, first=first)
    found = run(spec, network, x, y)
    best, broken = by_hand(network, x, y, spec, torch.Generator().manual_seed(0))
    clean = network(x).logits.argmax(1) != y
    assert torch.equal(found.broken < 65535, broken | clean)
    torch.testing.assert_close(found.images, best)
    assert 5 < broken.sum() < 55
