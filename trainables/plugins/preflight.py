"""One small batch of noise through the plugins of a trial: what breaks there would break hours later."""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from trainables import config
from trainables.attacks import run_attack, training_attack
from trainables.attacks.building_blocks.surrogate import draws
from trainables.config.terms import registry
from trainables.config.terms.registry import BadPlugin, Entry, Kind
from trainables.joint import attack_weights, training_weights
from trainables.models import Network, build_model
from trainables.objectives import build_learner
from trainables.outputs import heads

#: Examples of the batch.
BATCH = 4

#: Fields of an attack that say how often it does something: twice is enough here.
_OFTEN = ("iterations", "restarts", "queries", "samples", "eot")


def preflight(spec: config.TrialConfig, attacks: Iterable[config.Attack]) -> None:
    """Build the network, attack it, learn once, and attack it again, on the CPU.

    Args:
        spec: a trial.
        attacks: of its evaluations, those that are to be tried; not transferred ones.

    Raises:
        BadPlugin: a plugin does not do what its kind promises; the message names it and says what.
    """
    # A plugin that cannot be read from the record would be lost with it, and one without a hash has no place in a plan.
    with _blamed(spec):
        hash(spec)
        if config.TrialConfig.model_validate_json(spec.model_dump_json()) != spec:
            raise BadPlugin("a configuration must come back from JSON as it was")
    generator = torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    info = spec.data.info
    x = torch.rand(BATCH, info.channels, info.size, info.size, generator=generator)
    y = torch.randint(info.classes, (BATCH,), generator=generator)
    with _blamed(spec, registry.MODEL, registry.MODULE):
        network = _network(spec)
        network.draw_from(generator)
        _look(spec, network.train(), x, y)
        if not isinstance(spec.module, config.NoModule):
            said, done = spec.module.draws, draws(network.eval())
            _check(said == done, f"draws is {said} in its configuration, and {done} in the network")
            network.train()
    x_adv, targets = x, None
    if spec.attack is not None and registry.used_plugins(spec.attack):
        with _blamed(spec, registry.TRAINING_ATTACK), _untouched(network):
            x_adv, targets = training_attack(_short(spec.attack), spec.module, network, x, y, generator, epoch=1)
            _check_images(x, x_adv, spec.attack)
    with _blamed(spec, registry.OBJECTIVE, registry.MODULE, registry.MODEL):
        learner = build_learner(spec, network, steps_per_epoch=1)
        value = learner.learn(x, x_adv, y, targets).value
        _check(tuple(value.shape) == (BATCH,), f"the loss must be one number for each of {BATCH} examples: {value.shape}")
        _check(bool(torch.isfinite(value).all()), "the loss is not finite")
        slopes = [p.grad for p in network.parameters() if p.grad is not None]
        _check(any(bool(slope.any()) for slope in slopes), "the loss has no gradient with respect to the network's weights")
    network.eval()
    for attack in attacks:
        with _blamed(attack, registry.ATTACK, registry.TRAINING_ATTACK), _untouched(network):
            weights = attack_weights(attack.aim, spec.module)
            run_attack(_short(attack), network, x, y, weights, generator)
    if not torch.equal(torch.get_rng_state(), before):
        torch.set_rng_state(before)
        names = _names(spec, *attacks)
        raise BadPlugin(f"{names}: must draw from the generator that is given, and drew from torch's global one")


def _network(spec: config.TrialConfig) -> Network:
    network = build_model(spec.model, spec.module, spec.data.info, seed=0)
    there, said = list(network.channels), spec.model.positions()
    _check(there == said, f"channels has the positions {', '.join(there)}, and blocks says {', '.join(said)}")
    return network


def _look(spec: config.TrialConfig, network: Network, x: Tensor, y: Tensor) -> None:
    """A forward pass in training and one in evaluation mode."""
    names, classes = config.heads(spec.module), spec.data.info.classes
    weights = training_weights(spec.module)
    _check(len(weights) == len(names), f"head_weights must be one for each of {', '.join(names)}, and are {weights}")
    for outputs in (network.train()(x, y), network.eval()(x)):
        shapes = [tuple(logits.shape) for logits in heads(outputs)]
        _check(shapes == [(BATCH, classes)] * len(names), f"logits of {', '.join(names)} must be {(BATCH, classes)}: {shapes}")
        _check(all(bool(torch.isfinite(logits).all()) for logits in heads(outputs)), "logits are not finite")
    network.train()


def _check_images(x: Tensor, x_adv: Tensor, attack: config.TrainingAttack) -> None:
    _check(x_adv.shape == x.shape, f"must return images of the shape {tuple(x.shape)}, and returned {tuple(x_adv.shape)}")
    _check(bool(((x_adv >= 0) & (x_adv <= 1)).all()), "must return images in [0, 1]")
    if getattr(attack, "norm", "linf") == "linf":
        farthest = float((x_adv - x).abs().max())
        _check(farthest <= attack.eps + 1e-5, f"must stay within eps = {attack.eps:g}, and went to {farthest:g}")


def _check(holds: bool, reason: str) -> None:
    if not holds:
        raise BadPlugin(reason)


@contextmanager
def _blamed(spec: Any, *kinds: Kind) -> Iterator[None]:
    """Raise errors as those of the plugins of these kinds, of the first kind that there are; of any kind without."""
    try:
        yield
    except Exception as error:
        plugins = sorted(registry.used_plugins(spec), key=str)
        blamed = [plugin for kind in kinds for plugin in plugins if plugin.kind == kind.title] or plugins
        if not blamed:
            raise
        reason = str(error) if isinstance(error, BadPlugin) else f"{type(error).__name__}: {error}{_line(error, blamed[0])}"
        name = str(blamed[0])
        raise BadPlugin(reason if reason.startswith(name) else f"{name}: {reason}") from error


def _line(error: Exception, plugin: Entry) -> str:
    """The last line of the plugin's file that an error came through."""
    file = plugin.origin.file if plugin.origin else ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == Path(file).resolve()]
    return f" ({Path(file).name}, line {frames[-1].lineno})" if frames else ""


@contextmanager
def _untouched(network: Network) -> Iterator[None]:
    """See that an attack leaves the network as it was."""

    def state() -> list[Any]:
        modes = [module.training for module in network.modules()]
        return [modes, [(p.requires_grad, p.grad is None) for p in network.parameters()]]

    before, weights = state(), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    yield
    same = all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())
    _check(same and state() == before, "must leave the network's weights, gradients and mode as they were")


def _short(attack: Any) -> Any:
    """The attack with little to do, if it may have."""
    less = {field: min(2, getattr(attack, field)) for field in _OFTEN if isinstance(getattr(attack, field, None), int)}
    try:
        return type(attack).model_validate_json(attack.model_copy(update=less).model_dump_json())
    except ValidationError:
        return attack


def _names(*specs: Any) -> str:
    return ", ".join(sorted({str(plugin) for spec in specs for plugin in registry.used_plugins(spec)}))
