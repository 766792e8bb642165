"""AFD's settings and factors, and the profiles that its studies share."""

from dataclasses import replace
from types import MappingProxyType

from optuna.distributions import FloatDistribution, IntDistribution

from search_spaces import baselines
from search_spaces.factor import Factor, Level, choice, levels_of, scalar
from search_spaces.papers.paper import Paper
from search_spaces.profiles import profiles
from search_spaces.settings import Eps, Settings
from search_spaces.study import Profile

#: Section 3.2 and Table A1. The attack in training has an eps of its own, and by Table 1 a "similar setting" as the tables'
#: PGD: the steps are those of Table A2.
_RECIPE: Settings = {
    "training.weight_decay": 1e-4,
    "training.schedule.milestones": (400, 800),
    "attack.eps": 0.031,
    "attack.step": 2 / 255,
    "attack.iterations": 20,
    "selection.attack.step": Eps(1 / 4),
}
#: What Table A1 and the public code change for MNIST: a network with 64 features, as Table A5 counts them.
ON_MNIST: Settings = {
    "data.dataset": "mnist",
    "data.crop": 0,
    "data.flip": False,
    "model.width": 8,
    "training.epochs": 100,
    "training.schedule.milestones": (50, 80),
    "selection.attack.eps": 0.3,
    "selection.attack.step": 0.01,
    "selection.attack.iterations": 40,
}
MNIST_ATTACK: Settings = {"attack.eps": 0.3, "attack.step": 0.01, "attack.iterations": 40}

#: Section 3.2; the learning rates are the public code's, Table A1 being illegible.
AFD: Settings = {
    "objective.name": "afd",
    "objective.discriminator": "FC3-PD",
    "objective.hidden": 512,
    "objective.loss": "softplus",
    "objective.lr_encoder": 0.5,
    "objective.lr_discriminator": 0.1,
}
MNIST_AFD: Settings = {**MNIST_ATTACK, "objective.hidden": 64, "objective.lr_discriminator": 0.5}
#: The paper ran "the official code": its attack, and lambda as its authors report it on CIFAR-10 and as the code has it on
#: MNIST. Rates and epochs stay those of Table A1, which is of "all experiments".
TRADES: Settings = {**baselines.TRADES, "attack.step": 0.007, "attack.iterations": 10}
MNIST_TRADES: Settings = {**MNIST_ATTACK, "objective.lam": 1.0}

DISCRIMINATOR = choice(
    "discriminator",
    "Da",
    levels_of("objective.discriminator", {name: name for name in ("FC1-PD", "FC3", "FC3-PD")}),
    default="FC3-PD",
)
HIDDEN = scalar(
    "hidden", "d", "objective.hidden", levels=(64, 512), default=512, distribution=IntDistribution(16, 1024, log=True)
)
LOSS = choice(
    "loss",
    "L_Da",
    levels_of("objective.loss", {"softplus": "softplus", "critic": "critic"}),
    default="softplus",
)


def _rate(name: str, symbol: str, default: float) -> Factor:
    """The learning rate of one of the two that play against each other."""
    return scalar(
        name,
        symbol,
        f"objective.{name}",
        levels=(0.1, 0.5),
        default=default,
        distribution=FloatDistribution(1e-3, 1, log=True),
    )


LR_ENCODER = _rate("lr_encoder", "γ", 0.5)
LR_DISCRIMINATOR = _rate("lr_discriminator", "β", 0.1)
TRAINING_ATTACK = choice(
    "training attack",
    "π",
    levels=(
        Level("PGD", {"attack.name": "pgd", "attack.eps": 0.031, "attack.step": 2 / 255, "attack.iterations": 20}),
        # The public code's, at the paper's eps in place of its own 8/255.
        Level("APGD-CE", {"attack.name": "apgd", "attack.eps": 0.031, "attack.iterations": 20}),
    ),
    default="PGD",
)
TRAINING_EPS = Factor(
    "training eps",
    "ε",
    levels_of("attack.eps", {"ε = 4/255": 4 / 255, "ε = 0.031": 0.031}),
    default="ε = 0.031",
    distribution=FloatDistribution(1 / 255, 16 / 255),
)
TRAINING_STEPS = Factor(
    "training steps",
    "steps",
    levels_of("attack.iterations", {f"{n} steps": n for n in (5, 20)}),
    default="20 steps",
    distribution=IntDistribution(1, 40),
)
SPACE = (
    DISCRIMINATOR,
    HIDDEN,
    LOSS,
    LR_ENCODER,
    LR_DISCRIMINATOR,
    TRAINING_ATTACK,
    TRAINING_EPS,
    TRAINING_STEPS,
)

DATASET = choice(
    "dataset",
    "dataset",
    levels=(
        Level("MNIST", ON_MNIST),
        Level("CIFAR-10", {"data.dataset": "cifar10"}),
        Level("CIFAR-100", {"data.dataset": "cifar100"}),
    ),
    default="CIFAR-10",
)
#: The paper gives no weight for the matching of representations (section 3.2, "Adversarial vs. L2 optimization").
METHOD = choice(
    "objective",
    "objective",
    levels=(
        Level("NT", baselines.STANDARD),
        Level("AT", baselines.AT, conditional={"MNIST": MNIST_ATTACK}),
        Level("TRADES", TRADES, conditional={"MNIST": MNIST_TRADES}),
        Level("AFD", AFD, conditional={"MNIST": MNIST_AFD}),
        Level("L2 matching", {"objective.name": "l2-matching", "objective.weight": 1.0}, conditional={"MNIST": MNIST_ATTACK}),
    ),
    default="AFD",
)
OBJECTIVE = METHOD.only("NT", "AT", "TRADES", "AFD")
#: Figure A4 is of one training, "at different training stages" (section 3.2: it "might have overfit" in the later ones). One of
#: fewer epochs, whose rate drops at the same ones, is its beginning, and a plan trains it on the way. The figure's own stages
#: are not legible.
STAGE = scalar(
    "stage",
    "epoch",
    "training.epochs",
    levels=(100, 300, 500, 700, 900),
    default=900,
    distribution=IntDistribution(1, 900),
)

#: Fields that the demo pins in addition: those that differ between data sets, a discriminator for its 64 features, and rates
#: and a weight that are stable at its learning rate.
_DEMO: Settings = {
    "training.schedule.milestones": (),
    "objective.hidden": 64,
    "objective.lr_encoder": 0.1,
    "objective.lr_discriminator": 0.1,
    "objective.weight": 0.1,
}


def _profile(profile: Profile) -> Profile:
    pins = {**profile.pins, **_DEMO} if profile.name == "demo" else profile.pins
    return replace(profile, settings={**profile.settings, **_RECIPE}, pins=pins)


PROFILES = MappingProxyType({name: _profile(profile) for name, profile in profiles(epochs=900).items()})
PAPER = Paper("afd", "Bashivan et al., ICLR 2021 submission", PROFILES)
