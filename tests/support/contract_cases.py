"""Small cases of whatever the configuration and the tables of names hold: a new name needs no new test."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from tests.support.shared import weights_once
from trainables import config
from trainables.config.terms.registry import MODULE, OneOf
from trainables.joint import Weights, training_weights
from trainables.models import Network, build_model
from trainables.objectives import loss

DIGITS = config.DATASETS["digits"]
RESNET = config.Model(name="resnet-10", width=4)

#: Values of fields that have no default.
REQUIRED = {"eps": 0.1, "step": 0.03, "iterations": 4}


def specs(union: Any) -> dict[str, type[config.Spec]]:
    """The specifications that a field like ``config.Attack`` takes, by name."""
    (mark,) = (mark for mark in union.__metadata__ if isinstance(mark, OneOf))
    return {spec.model_fields["name"].default: spec for spec in mark.specs}


def spec(union: Any, name: str, **settings: Any) -> Any:
    """The named configuration with its defaults, ``settings``, and small values where there is no default."""
    cls = specs(union)[name]
    missing = [field for field, info in cls.model_fields.items() if info.is_required() and field not in settings]
    return cls(**{field: REQUIRED[field] for field in missing}, **settings)


def module_spec(name: str, model: config.Model = RESNET, positions: tuple[str, ...] = ("P2", "P1")) -> config.Module:
    """The named module at ``positions`` of ``model``, as a trial has it: with its own names of them."""
    settings = {"positions": positions} if name != "none" else {}
    if name == "cifs":
        settings["probes"] = ("mlp",) if len(positions) == 1 else ("mlp", *["linear"] * (len(positions) - 1))
    module = spec(config.Module, name, **settings)
    return config.TrialConfig(data=config.Data(dataset="digits"), model=model, module=module).module


def batch(n: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 8, 8) in [0, 1], the same for every call, and labels."""
    chance = torch.Generator().manual_seed(n)
    x = torch.rand(n, 1, 8, 8, generator=chance, dtype=torch.float64)
    return (1.2 * x - 0.1).clamp(0, 1).to(dtype), torch.randint(10, (n,), generator=chance)


def network(module: config.Module, model: config.Model = RESNET, steps: int = 5) -> tuple[Network, Weights]:
    """A network that has seen a few training steps, so that its statistics and weights are not the first ones."""
    ours = seeded(build_model(model, module, DIGITS, seed=0).train())
    what = f"{module.model_dump_json()} {model.model_dump_json()} {steps}"
    name = f"contract-{hashlib.sha256(what.encode()).hexdigest()[:16]}"
    ours.load_state_dict(weights_once(name, lambda: _learn(module, model, steps)))
    return ours, training_weights(module)


def _learn(module: config.Module, model: config.Model, steps: int) -> dict[str, Tensor]:
    ours = seeded(build_model(model, module, DIGITS, seed=0).train())
    x, y = batch(32)
    optimiser = torch.optim.SGD(ours.parameters(), lr=0.02, momentum=0.9)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(config.AT(), module, ours, x, x, y).value.mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return ours.state_dict()


def seeded(network: Network, seed: int = 0) -> Network:
    """The network itself, its modules at the start of a stream of chance."""
    network.draw_from(torch.Generator().manual_seed(seed))
    return network


def draws(network: Network) -> bool:
    """Whether an evaluation of the network is a matter of chance."""
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    network.draw_from(generator)
    training = network.training
    network.eval()(batch(2)[0].to(network.fc.weight.dtype))
    network.train(training)
    return not torch.equal(generator.get_state(), before)


EVERY_MODULE = list(MODULE.entries)
