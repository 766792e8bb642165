"""The contracts of whatever is registered, on networks that are trained once in a run: a new name needs no new test."""

import hashlib
from functools import cache
from typing import Any

from torch import Tensor

from advsweep.testing.cases import DIGITS, FEW, RESNET, batch, learned, named, seeded
from advsweep.testing.contract import Contract
from tests.support.shared import weights_once
from trainables import config
from trainables.config.terms.registry import MODULE, OneOf
from trainables.joint import Weights, training_weights
from trainables.models import Network, build_model

__all__ = ["EVERY_MODULE", "RESNET", "Registered", "batch", "module_spec", "network", "seeded", "spec", "specs"]

EVERY_MODULE = list(MODULE.entries)

#: Values of fields that have no default.
REQUIRED = {"eps": 0.1, "step": 0.03, "iterations": 4}

module_spec = named


class Registered(Contract):
    """Comes before a contract: every module, and networks that other processes need not train again."""

    modules = tuple(EVERY_MODULE)

    def weights(self, module: config.Module, model: config.Model, steps: int) -> dict[str, Tensor]:
        """The numbers of a network that learned for so many steps."""
        return _once(module, model, steps)


def specs(union: Any) -> dict[str, type[config.Spec]]:
    """The specifications that a field like ``config.Attack`` takes, by name."""
    (mark,) = (mark for mark in union.__metadata__ if isinstance(mark, OneOf))
    return {spec.model_fields["name"].default: spec for spec in mark.specs}


def spec(union: Any, name: str, **settings: Any) -> Any:
    """The named configuration with its defaults, ``settings``, and small values where there is no default."""
    cls = specs(union)[name]
    missing = [field for field, info in cls.model_fields.items() if info.is_required() and field not in settings]
    return cls(**{field: REQUIRED[field] for field in missing}, **settings)


def network(module: config.Module, model: config.Model = RESNET) -> tuple[Network, Weights]:
    """A network that has seen a few training steps, so that its statistics and weights are not the first ones."""
    ours = seeded(build_model(model, module, DIGITS, seed=0).train())
    ours.load_state_dict(_once(module, model, FEW))
    return ours, training_weights(module)


@cache
def _once(module: config.Module, model: config.Model, steps: int) -> dict[str, Tensor]:
    what = f"{module.model_dump_json()} {model.model_dump_json()} {steps}"
    name = f"contract-{hashlib.sha256(what.encode()).hexdigest()[:16]}"
    return weights_once(name, lambda: learned(module, model, steps))
