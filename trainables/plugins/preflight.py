"""One small batch of noise through the plugins of a trial: what breaks there would break hours later."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from trainables import config
from trainables.attacks import run_attack, training_attack
from trainables.config.terms import registry
from trainables.config.terms.registry import BadPlugin, Entry, Kind
from trainables.joint import attack_weights
from trainables.models import build_model
from trainables.objectives import build_learner
from trainables.plugins.promises import (
    check,
    check_draws,
    check_images,
    check_loss,
    check_outputs,
    check_positions,
    check_restored,
    check_weights,
    global_generators_untouched,
    untouched,
)

#: Examples of the batch.
BATCH = 4

#: Fields of an attack that say how often it does something: twice is enough here.
_OFTEN = ("iterations", "restarts", "queries", "samples", "eot")


def preflight(spec: config.TrialConfig, attacks: Sequence[config.Attack]) -> None:
    """Build the network, attack it, learn once, and attack it again, on the CPU.

    Args:
        spec: a trial.
        attacks: of its evaluations, those that are to be tried; not transferred ones.

    Raises:
        BadPlugin: a plugin does not do what its kind promises; the message names it and says what.
    """
    with _blamed(spec):
        check_restored(spec)
    with global_generators_untouched(f"{_names(spec, *attacks)}: "):
        _run(spec, attacks)


def _run(spec: config.TrialConfig, attacks: Sequence[config.Attack]) -> None:
    generator = torch.Generator().manual_seed(0)
    info = spec.data.info
    x = torch.rand(BATCH, info.channels, info.size, info.size, generator=generator)
    y = torch.randint(info.classes, (BATCH,), generator=generator)
    with _blamed(spec, registry.MODEL, registry.MODULE):
        network = build_model(spec.model, spec.module, info, seed=0)
        check_positions(spec.model, network)
        check_weights(spec.module)
        network.draw_from(generator)
        check_outputs(spec.module, network.train()(x, y), BATCH, info.classes)
        check_outputs(spec.module, network.eval()(x), BATCH, info.classes)
        check_draws(spec.module, network)
        network.train()
    x_adv, targets = x, None
    if spec.attack is not None and registry.used_plugins(spec.attack):
        with _blamed(spec, registry.TRAINING_ATTACK), untouched(network, x, y):
            x_adv, targets = training_attack(_short(spec.attack), spec.module, network, x, y, generator, epoch=1)
            check_images(spec.attack, x, x_adv, room=1e-5)
    with _blamed(spec, registry.OBJECTIVE, registry.MODULE, registry.MODEL):
        check_loss(build_learner(spec, network, steps_per_epoch=1).learn(x, x_adv, y, targets), BATCH, info.classes)
        slopes = [p.grad for p in network.parameters() if p.grad is not None]
        check(any(bool(slope.any()) for slope in slopes), "the loss has no gradient with respect to the network's weights")
    network.eval()
    for attack in attacks:
        with _blamed(attack, registry.ATTACK, registry.TRAINING_ATTACK), untouched(network, x, y):
            run_attack(_short(attack), network, x, y, attack_weights(attack.aim, spec.module), generator)


@contextmanager
def _blamed(spec: Any, *kinds: Kind) -> Iterator[None]:
    """Raise errors as those of the plugins of these kinds, of the first kind that there are; of any kind without."""
    try:
        yield
    except (Exception, SystemExit) as error:
        plugins = sorted(registry.used_plugins(spec), key=str)
        blamed = [plugin for kind in kinds for plugin in plugins if plugin.kind == kind.title] or plugins
        if not blamed:
            raise
        reason = str(error) if isinstance(error, BadPlugin) else f"{type(error).__name__}: {error}{_line(error, blamed[0])}"
        name = str(blamed[0])
        raise BadPlugin(reason if reason.startswith(name) else f"{name}: {reason}") from error


def _line(error: BaseException, plugin: Entry) -> str:
    """Name the last line of the plugin's file that an error came through."""
    file = plugin.origin.file if plugin.origin else ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == Path(file).resolve()]
    return f" ({Path(file).name}, line {frames[-1].lineno})" if frames else ""


def _short(attack: Any) -> Any:
    """Shorten an attack to few steps, where it has a field for them."""
    less = {field: min(2, getattr(attack, field)) for field in _OFTEN if isinstance(getattr(attack, field, None), int)}
    try:
        return type(attack).model_validate_json(attack.model_copy(update=less).model_dump_json())
    except ValidationError:
        return attack


def _names(*specs: Any) -> str:
    return ", ".join(sorted({str(plugin) for spec in specs for plugin in registry.used_plugins(spec)}))
