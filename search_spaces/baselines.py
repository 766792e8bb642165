"""Defenses that several papers compare with, as fields over :mod:`search_spaces.profiles`' adversarial training."""

from search_spaces.factor import Level, Settings, choice

VANILLA: Settings = {"module.name": "none"}

STANDARD: Settings = {"objective.name": "standard", "attack": None}
AT: Settings = {"objective.name": "at"}
#: Zhang et al. (ICML 2019): the attack maximises the divergence that the weights minimise, from beside the image.
TRADES: Settings = {"objective.name": "trades", "objective.lam": 6.0, "attack.loss": "kl", "attack.start": "gaussian"}
#: Wang et al. (ICLR 2020).
MART: Settings = {"objective.name": "mart", "objective.lam": 5.0}

#: The objectives that CAS and FSR are trained with.
OBJECTIVE = choice(
    "objective", "objective", levels=(Level("AT", AT), Level("TRADES", TRADES), Level("MART", MART)), default="AT"
)
