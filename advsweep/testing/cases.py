"""Small networks and images that plugins are tried on."""

from functools import cache

import torch
from torch import Tensor

from trainables import config
from trainables.config.terms.registry import MODULE
from trainables.models import Network, build_model
from trainables.objectives import loss

#: The shape of the images: handwritten digits of 8 x 8 pixels in 10 classes.
DIGITS = config.DATASETS["digits"]
RESNET = config.Model(name="resnet-10", width=4)

#: What a network learns with ``steps`` of training: not quite nothing, or the batches that it has seen.
FEW, MANY = 5, 80


def batch(n: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 8, 8) in [0, 1], some of their pixels 0 or 1, and labels (n,); the same for every call."""
    generator = torch.Generator().manual_seed(n)
    x = torch.rand(n, 1, 8, 8, generator=generator, dtype=torch.float64)
    return (1.2 * x - 0.1).clamp(0, 1).to(dtype), torch.randint(10, (n,), generator=generator)


def adversarial(x: Tensor) -> Tensor:
    """Images of x's shape that differ from x in every pixel but for [0, 1], as an attack's would; nothing is attacked."""
    return (x + 0.05 * torch.where(torch.arange(x.shape[-1]) % 2 == 0, 1, -1)).clamp(0, 1)


def inserted(module: config.Module, model: config.Model = RESNET) -> config.Module:
    """Give a module the positions' names in ``model``, as a trial does."""
    return config.TrialConfig(data=config.Data(dataset="digits"), model=model, module=module).module


def named(name: str, model: config.Model = RESNET) -> config.Module:
    """Return the registered module of that name, with its defaults, at the last two positions of ``model``."""
    return inserted(MODULE.infos[name](**({} if name == "none" else {"positions": ("P2", "P1")})), model)


@cache
def first(module: config.Module, model: config.Model) -> Network:
    """Build a network with its initial weights once, to be copied: building takes longer than most tests."""
    return build_model(model, module, DIGITS, seed=0)


@cache
def learned(module: config.Module, model: config.Model, steps: int) -> dict[str, Tensor]:
    """Return the state of a network after a few steps of training, for others to load."""
    network = seeded(build_model(model, module, DIGITS, seed=0).train())
    x, y = batch(32)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(config.AT(), module, network, x, x, y).value.mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.state_dict()


def seeded(network: Network, seed: int = 0) -> Network:
    """Let the network's modules draw from a new generator, and return the network."""
    network.draw_from(torch.Generator().manual_seed(seed))
    return network


def draws(network: Network) -> bool:
    """Whether evaluating the network takes random numbers, which is tried."""
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    network.draw_from(generator)
    training = network.training
    network.eval()(batch(2)[0].to(network.fc.weight.dtype))
    network.train(training)
    return not torch.equal(generator.get_state(), before)


def disturb(network: Network) -> Network:
    """Put a network in an unusual state: parts in either mode, some gradients set, one weight frozen."""
    network.train()
    list(network.modules())[2].eval()
    next(network.parameters()).requires_grad_(False)
    for i, parameter in enumerate(network.parameters()):
        parameter.grad = torch.full_like(parameter, i) if i % 2 else None
    return network
