"""Defenses that several papers compare with, as fields that replace those of the profiles' adversarial training."""

from collections.abc import Mapping
from types import MappingProxyType

from search_spaces.factor import Factor, Level, choice
from search_spaces.settings import Eps, Settings

VANILLA: Settings = {"module.name": "none"}

STANDARD: Settings = {"objective.name": "standard", "attack": None}
AT: Settings = {"objective.name": "at"}
#: Zhang et al. (ICML 2019): the attack maximises the divergence that the weights minimise, from near the image. The papers
#: here take it at their own eps and step, and as it is with their modules; CAS's public code has 4 for lambda there.
TRADES: Settings = {"objective.name": "trades", "objective.lam": 6.0, "attack.loss": "kl", "attack.start": "gaussian"}
#: Wang et al. (ICLR 2020); the start is that of its public code, and of CAS's.
MART: Settings = {"objective.name": "mart", "objective.lam": 5.0, "attack.start": "gaussian"}
#: Zhang et al. (ICML 2020): adversarial training whose attack stops early, with tau 0, 1 and 2. The noise and the learning
#: rates, 0.1, 0.01 and 0.005 of the first, are those of its public code.
FAT: Settings = {
    "objective.name": "at",
    "attack.name": "friendly",
    "attack.eps": Eps(),
    "attack.step": Eps(1 / 4),
    "attack.iterations": 10,
    "attack.taus": (0, 1, 2),
    "attack.milestones": (51, 91),
    "attack.omega": 0.001,
    "training.schedule.name": "multistep",
    "training.schedule.milestones": (60, 90, 110),
    "training.schedule.gamma": (0.1, 0.1, 0.5),
}

#: The objectives that CAS and FSR are trained with.
OBJECTIVE = choice(
    "objective", "objective", levels=(Level("AT", AT), Level("TRADES", TRADES), Level("MART", MART)), default="AT"
)


def with_and_without(label: str, module: Settings, conditional: Mapping[str, Settings] = MappingProxyType({})) -> Factor:
    """A network as it is, and with a ``module``, whose row has the ``label``; ``conditional``: see :class:`Level`."""
    return choice("module", "module", levels=(Level("Vanilla", VANILLA), Level(label, module, conditional)), default=label)
