"""Factors of adversarial training, over which every defense that is trained adversarially can be searched."""

from optuna.distributions import FloatDistribution, IntDistribution

from search_spaces.baselines import AT, FAT, MART, TRADES
from search_spaces.factor import Factor, Level, choice, levels_of, scalar
from search_spaces.settings import Eps

OBJECTIVE = choice(
    "objective",
    "objective",
    levels=(Level("AT", AT), Level("TRADES", TRADES), Level("MART", MART), Level("FAT", FAT)),
    default="AT",
)
# The authors' 6, the 4 of CAS's public code, and less.
TRADES_LAMBDA = scalar(
    "trades_lambda",
    "λ_TRADES",
    "objective.lam",
    levels=(1.0, 2.0, 4.0, 6.0),
    default=6.0,
    distribution=FloatDistribution(0.1, 20, log=True),
).where(objective=("TRADES",))
MART_LAMBDA = scalar(
    "mart_lambda",
    "λ_MART",
    "objective.lam",
    levels=(1.0, 2.0, 5.0),
    default=5.0,
    distribution=FloatDistribution(0.1, 20, log=True),
).where(objective=("MART",))
# Misclassified iterates after which an example's attack stops: the authors' schedule, and each of its values throughout.
FAT_TAU = choice(
    "fat_tau",
    "τ_FAT",
    levels_of("attack.taus", {"τ = 0, 1, 2": (0, 1, 2), **{f"τ = {n}": (n, n, n) for n in (0, 1, 2)}}),
    default="τ = 0, 1, 2",
).where(objective=("FAT",))
STEP = Factor(
    "step",
    "step",
    levels_of("attack.step", {f"eps/{n}": Eps(1 / n) for n in (10, 8, 4, 2)}),
    default="eps/4",
    distribution=FloatDistribution(0.05, 1, log=True),
    of_eps=True,
)
# A quarter to four times the attacker's, as Table 13 of CAS has the attacker's.
EPS = Factor(
    "eps",
    "training ε",
    levels_of("attack.eps", {f"{n} eps": Eps(n) for n in (0.25, 0.5, 1, 1.5, 2, 4)}),
    default="1 eps",
    distribution=FloatDistribution(0.25, 4),
    of_eps=True,
)
ITERATIONS = scalar(
    "iterations",
    "PGD",
    "attack.iterations",
    levels=(5, 7, 10, 20),
    default=10,
    distribution=IntDistribution(1, 20),
)
#: Of every space, where it is asked for.
SEED = scalar("seed", "seed", "seed", levels=(0, 1, 2), default=0, distribution=IntDistribution(0, 9))
FACTORS = (OBJECTIVE, TRADES_LAMBDA, MART_LAMBDA, FAT_TAU, STEP, EPS, ITERATIONS)
