"""Passes of a training, compared with what torch counts while it runs."""

import pytest
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from orchestrator.cost.network_size import multiply_adds
from orchestrator.cost.passes import selection_passes, training_passes
from orchestrator.planning.settings import configure, resolve
from tests.support.tiny_study import RUNTIME, SETTINGS
from trainables.config import Data, Selection, TrialConfig
from trainables.config.terms.registry import OBJECTIVE, TRAINING_ATTACK
from trainables.trial import Trial

OBJECTIVES, ATTACKS = list(OBJECTIVE.entries), list(TRAINING_ATTACK.entries)

#: Fields that attacks need in addition to their name.
FIELDS = {
    "pgd": {"step": 0.05, "iterations": 3},
    "infofeature": {"step": 0.05, "iterations": 3},
    "apgd": {"iterations": 3},
    "friendly": {"step": 0.05, "iterations": 3},
}

#: How far a count may be from the passes: weights do not need the stem's gradient of the pixels, and losses multiply too.
TOLERANCE = 0.05


def configuration(objective="at", attack="pgd", **fields):
    """Return a configuration of a defense, with a network wide enough for convolutions to dominate the count."""
    chosen = {"name": attack, "eps": 0.1, **FIELDS.get(attack, {}), **fields} if attack else None
    attack_fields = {f"attack.{name}": value for name, value in chosen.items()} if chosen else {"attack": None}
    more = {"objective.name": objective, "model.width": 16, **attack_fields}
    if objective == "pcl":
        more["objective.warmup"] = 0
    if objective == "afd":
        more["objective.hidden"] = 16
    base = {name: value for name, value in SETTINGS.items() if not name.startswith("attack.")}
    return configure([resolve(layer, 0.1) for layer in (base, more)], {})[0]


class Operations(TorchDispatchMode):
    """Counts operations by torch's formulas. (Its FlopCounterMode also tracks modules, which pixel gradients break.)"""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def counted(config):
    """Return the passes of an epoch by torch's count: a pass is two forward passes, and a multiply-add two operations."""
    trial = Trial(config, RUNTIME)
    with Operations() as counter:
        trial._train()
    return counter.total / (4 * multiply_adds(config.model, config.module, config.data.info))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_passes_of_every_objective_are_what_torch_counts(objective):
    config = configuration(objective, attack=None if objective == "standard" else "pgd")
    assert counted(config) == pytest.approx(training_passes(config), rel=TOLERANCE)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_passes_of_every_training_attack_are_what_torch_counts(attack):
    config = configuration(attack=attack)
    assert counted(config) == pytest.approx(training_passes(config), rel=TOLERANCE)


@pytest.mark.parametrize(
    ("objective", "attack", "fields"),
    [
        ("trades", "pgd", {"loss": "kl"}),
        ("trades", "friendly", {"loss": "kl", "start": "gaussian"}),
        ("pcl", None, {}),
        ("afd", "apgd", {"unbroken": "natural"}),
    ],
)
def test_the_passes_of_variants_are_what_torch_counts(objective, attack, fields):
    config = configuration(objective, attack, **fields)
    assert counted(config) == pytest.approx(training_passes(config), rel=TOLERANCE)


def test_the_passes_of_a_step():
    by_objective = {name: configuration(name, None).objective.passes(True) for name in ("standard",)}
    by_objective |= {name: configuration(name).objective.passes(True) for name in OBJECTIVES if name != "standard"}
    assert by_objective == {
        "standard": 1.5,
        "at": 1.5,
        "trades": 3.5,
        "mart": 3,
        "alp": 3,
        "feature-matching": 3,
        "l2-matching": 3,
        "pcl": 3,
        "afd": 4.5,
    }
    by_attack = {name: configuration(attack=name).attack.passes() for name in ATTACKS}
    assert by_attack == {
        "pgd": 3,
        "fgsm-rs": 1,
        "infofeature": 3.5,
        "feature-scattering": 1.5,
        "adversarial-interpolation": 1.5,
        "apgd": 4,
        "friendly": 3,
    }


def test_the_selection_costs_its_split():
    config = TrialConfig()
    assert selection_passes(config) == pytest.approx(50_000 * 0.02 * 20.5)
    assert selection_passes(config.model_copy(update={"selection": Selection(split="test")})) == pytest.approx(10_000 * 20.5)
    assert selection_passes(config.model_copy(update={"data": Data(examples=100)})) == pytest.approx(100 * 0.02 * 20.5)
