"""NAttack (Li et al., ICML 2019, algorithm 1): a distribution of adversarial images, learned from scores alone."""

from functools import partial

import torch
from torch import Generator, Tensor, nn

from trainables import config
from trainables.attacks.building_blocks.closest import Attacked
from trainables.attacks.building_blocks.gradient import Objective, frozen
from trainables.attacks.building_blocks.losses import margin
from trainables.attacks.building_blocks.surrogate import draws, errs, predict
from trainables.attacks.case import Case
from trainables.config.module import AVERAGED

#: Images in a forward pass, at most (but at least one example's samples).
CHUNK = 4096


def nattack(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    queries: int,
    samples: int,
    sigma: float,
    step: float,
    objective: Objective,
    generator: Generator,
) -> Tensor:
    """Images (B, channels, size, size) in [0, 1], at most ``eps`` from x in every pixel: the first misclassified sample.

    x' = clip_eps((1 + tanh(atanh(2 x - 1) + mu + sigma e)) / 2), e normal; mu follows the samples' standardised objectives. An
    example without a misclassified sample has the best that it saw. Each example is on its own. On a stochastic network it is
    in any case the best sample, by the mean of several draws.

    Args:
        network: returns :class:`~trainables.outputs.Outputs`; called without labels or gradients, in evaluation mode.
        x: images (B, channels, size, size) in [0, 1].
        y: labels (B,).
        eps: largest change of a pixel, in [0, 1].
        queries: of the network, for each example at most.
        samples: b, of the distribution in each step.
        sigma: its standard deviation.
        step: eta, the learning rate of mu.
        objective: what is maximised.
        generator: on x's device.
    """
    with frozen(network), torch.no_grad():
        n = max(1, CHUNK // samples)
        parts = zip(torch.split(x, n), torch.split(y, n), strict=True)
        settings = (eps, queries // samples, samples, sigma, step, objective, generator)
        return torch.cat([_search(network, some, labels, *settings) for some, labels in parts])


def _search(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    steps: int,
    samples: int,
    sigma: float,
    eta: float,
    objective: Objective,
    generator: Generator,
) -> Tensor:
    shape, stochastic = x.shape[1:], draws(network)
    best, best_value = x.clone(), torch.full((len(x),), -torch.inf, device=x.device, dtype=x.dtype)
    active = torch.arange(len(x), device=x.device)
    z = torch.atanh((2 * x - 1) * 0.999999)
    mu = torch.zeros_like(x)
    for _ in range(steps):
        if not len(active):
            break
        n, clean = len(active), x[active][:, None]
        e = torch.randn((n, samples, *shape), generator=generator, device=x.device, dtype=x.dtype)
        drawn = (1 + torch.tanh(z[active][:, None] + mu[active][:, None] + sigma * e)) / 2
        images = (clean + (drawn - clean).clamp(-eps, eps)).clamp(0, 1)
        labels = y[active].repeat_interleave(samples)
        outputs = network(images.flatten(0, 1))
        value = objective(outputs, labels).view(n, samples)
        is_adv = errs(outputs.logits, labels).view(n, samples)

        standard = (value - value.mean(1, keepdim=True)) / (value.std(1, keepdim=True) + 1e-7)
        mu[active] += eta / (samples * sigma) * (standard[:, :, None, None, None] * e).sum(1)

        # A misclassified sample comes first; the objective on other heads may be highest elsewhere.
        pick = torch.where(is_adv, torch.inf, value).argmax(1)
        broken, top = is_adv.any(1), value.gather(1, pick[:, None])[:, 0]
        if stochastic:
            # Of so many samples one is wrong by chance: the best one is asked about again, and the search goes on.
            pick, broken = value.argmax(1), torch.zeros_like(broken)
            again = images[torch.arange(n, device=x.device), pick]
            top = margin(predict(network, again, AVERAGED), y[active])
        better = broken | (top > best_value[active])
        best[active[better]] = images[better, pick[better]]
        best_value[active[better]] = top[better]
        active = active[~broken]
    return best


def attack(spec: config.NAttack, c: Case) -> Attacked:
    """Run NAttack on the margin as a specification says."""
    run = partial(
        nattack,
        c.network,
        eps=spec.eps,
        queries=spec.queries,
        samples=spec.samples,
        sigma=spec.sigma,
        step=spec.step,
        objective=c.objective(margin),
        generator=c.generator,
    )
    return c.one_by_one([run])
