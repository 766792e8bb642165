"""One trial of plugins: its configuration, what its keys are made of, and what it comes to.

``figures`` are the same on every machine; ``exact`` digests are those of AVX2.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch

from tests.golden.methods import exact_digest
from tests.support import sample_plugins
from trainables import config
from trainables.config.identity import attack_versions, training_versions
from trainables.trial import Trial

#: The plugins of the trial, as ``PLUGINS`` of :mod:`tests.support.sample_plugins` names them.
KINDS = ("module", "objective", "training-attack", "attack")


def values() -> Iterator[tuple[str, dict[str, Any]]]:
    """The trial's identity, and its epochs and an evaluation."""
    torch.set_num_threads(1)
    trial = registered(sample_plugins)
    yield "identity", identity(trial)
    yield "numbers", numbers(trial)


def registered(plugins: ModuleType) -> config.TrialConfig:
    """A trial with a module, an objective, a training attack and an attack of ``plugins``, which are registered."""
    settings: dict[str, Any] = {}
    for kind in KINDS:
        register, made, fields = plugins.PLUGINS[kind]
        register(made)
        settings |= fields
    found: config.TrialConfig = plugins.tiny(settings)
    return found


def identity(trial: config.TrialConfig) -> dict[str, Any]:
    """The configuration, the versions that its keys hold, and the keys."""
    attack, key = trial.selection.attack, config.trial_key(trial)
    return {
        "configuration": trial.model_dump(mode="json"),
        "versions of the training": training_versions(trial),
        "versions of the evaluation": attack_versions(attack),
        "trial": key,
        "attack": config.attack_key(attack),
        "evaluation": config.evaluation_key(key, "best", attack),
        "stream": config.evaluation_stream(attack),
    }


def numbers(spec: config.TrialConfig) -> dict[str, Any]:
    """Two epochs, and the attack on the last weights."""
    trial = Trial(spec, sample_plugins.RUNTIME)
    epochs = [trial.step() for _ in range(2)]
    figures = [[round(e["train_loss"], 2), round(e["natural_accuracy"], 2), round(e["robust_accuracy"], 2)] for e in epochs]
    found = trial.evaluate(spec.selection.attack, trial.weights())
    return {"figures": figures, "exact": exact_digest([*trial.weights().values(), found.ranks["final"]])}
