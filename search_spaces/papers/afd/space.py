"""AFD's settings and factors, and the profiles that its studies share."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from optuna.distributions import FloatDistribution, IntDistribution

from search_spaces import baselines
from search_spaces.factor import Factor, Level, choice, levels_of, scalar
from search_spaces.papers.paper import Paper
from search_spaces.profiles import profiles
from search_spaces.settings import Eps, Settings
from search_spaces.study import Profile

#: As the ResNet-18 of the public code, whose every training has it by default.
_UNIT: Settings = {"model.unit_features": True}
#: Table A1, in both versions.
_RECIPE: Settings = {
    **_UNIT,
    "training.weight_decay": 1e-4,
    "selection.attack.step": Eps(1 / 4),
}
#: Section 3.2 and Table A1. The attack in training has an eps of its own, and by Table 1 a "similar setting" as the tables'
#: PGD: the steps are those of Table A2.
_ICLR21: Settings = {
    "attack.name": "pgd",
    "attack.eps": 0.031,
    "attack.step": 2 / 255,
    "attack.iterations": 20,
    "training.epochs": 900,
    "training.schedule.milestones": (401, 801),
}
#: The two versions of the method: ``iclr21``, the text of the submission, whose numbers are printed, and ``neurips21``, the
#: public code with its defaults. What the text does not say is the code's in both.
RECIPES: Mapping[str, Settings] = MappingProxyType(
    {
        "iclr21": {"objective.loss": "softplus", **_ICLR21},
        "neurips21": {
            "objective.loss": "critic",
            "attack.name": "apgd",
            "attack.eps": 8 / 255,
            "attack.iterations": 20,
            "attack.unbroken": "natural",
            "training.epochs": 300,
            "training.schedule.milestones": (151, 251),
        },
    }
)
#: What Table A1 and the public code change for MNIST. The rates drop after the epochs that they name, so from the next on.
ON_MNIST: Settings = {
    "data.dataset": "mnist",
    "data.crop": 0,
    "data.flip": False,
    "model.name": "resnet-18-afd",
    "model.width": 16,
    **_UNIT,
    "training.epochs": 100,
    "training.schedule.milestones": (51, 81),
    "selection.attack.eps": 0.3,
    "selection.attack.step": 0.01,
    "selection.attack.iterations": 40,
}
_MNIST_BALL: Settings = {"attack.eps": 0.3, "attack.iterations": 40}
MNIST_ATTACK: Settings = {**_MNIST_BALL, "attack.step": 0.01}

#: Section 3.2; the learning rates are the public code's, Table A1 being illegible.
AFD: Settings = {
    "objective.name": "afd",
    "objective.depth": 3,
    "objective.projection": True,
    "objective.hidden": 512,
    "objective.loss": "softplus",
    "objective.lr_encoder": 0.5,
    "objective.lr_discriminator": 0.1,
}
_MNIST_GAME: Settings = {"objective.hidden": 64, "objective.lr_discriminator": 0.5}
MNIST_AFD: Settings = {**MNIST_ATTACK, **_MNIST_GAME}
#: The paper ran "the official code": its attack, and lambda as its authors report it on CIFAR-10 and as the code has it on
#: MNIST. Rates and epochs stay those of Table A1, which is of "all experiments".
TRADES: Settings = {**baselines.TRADES, "attack.step": 0.007, "attack.iterations": 10}
MNIST_TRADES: Settings = {**MNIST_ATTACK, "objective.lam": 1.0}

#: Section 3.2: on MNIST, where training it with AFD was unstable.
LENET: Settings = {"model.name": "lenet-afd", "model.width": 32, **_UNIT}
#: The row that Table 1 cites from Zhang & Wang (NeurIPS 2019), with the settings of their public code; their images are in
#: [-1, 1].
FEATURE_SCATTERING: Settings = {
    "model.name": "wrn-28",
    "model.width": 160,
    "model.normalise": True,
    "objective.name": "at",
    "objective.label_smoothing": 0.5,
    "attack.name": "feature-scattering",
    "attack.eps": Eps(),
    "training.batch_size": 60,
    "training.weight_decay": 2e-4,
    "training.epochs": 200,
    "training.schedule.milestones": (61, 91),
}

#: Table A6. A search has the two numbers behind the names, each on its own.
DISCRIMINATOR = choice(
    "discriminator",
    "Da",
    levels=tuple(
        Level(label, {"objective.depth": depth, "objective.projection": projection})
        for label, depth, projection in (("FC1-PD", 1, True), ("FC3", 3, False), ("FC3-PD", 3, True))
    ),
    default="FC3-PD",
)
DEPTH = scalar("depth", "layers", "objective.depth", levels=(1, 3), default=3, distribution=IntDistribution(1, 5))
PROJECTION = choice(
    "projection",
    "PD",
    levels_of("objective.projection", {"with label": True, "without label": False}),
    default="with label",
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


def _rate(name: str, symbol: str, path: str, default: float) -> Factor:
    """One of Algorithm 1's three learning rates, which section 3.2 searched."""
    return scalar(
        name,
        symbol,
        path,
        levels=(0.1, 0.5),
        default=default,
        distribution=FloatDistribution(1e-3, 1, log=True),
    )


LR = _rate("lr", "α", "training.lr", 0.1)
LR_ENCODER = _rate("lr_encoder", "γ", "objective.lr_encoder", 0.5)
LR_DISCRIMINATOR = _rate("lr_discriminator", "β", "objective.lr_discriminator", 0.1)
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
#: Both versions whole; the studies are of ``iclr21``.
RECIPE = choice(
    "recipe",
    "recipe",
    levels=(
        Level("iclr21", RECIPES["iclr21"], conditional={"MNIST": {**ON_MNIST, **MNIST_AFD}}),
        Level("neurips21", RECIPES["neurips21"], conditional={"MNIST": {**ON_MNIST, **_MNIST_BALL, **_MNIST_GAME}}),
    ),
    default="iclr21",
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
    DEPTH,
    PROJECTION,
    HIDDEN,
    LOSS,
    LR,
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
#: As Table 1 has it: the ResNet-18 of each data set, or another work's network.
NETWORK = choice(
    "network",
    "network",
    levels=(
        Level(
            "ResNet-18",
            {"model.name": "resnet-18", "model.width": 64, **_UNIT},
            conditional={"MNIST": {name: value for name, value in ON_MNIST.items() if name.startswith("model.")}},
        ),
        Level("LeNet", LENET),
        Level("WRN-28-10", FEATURE_SCATTERING),
    ),
    default="ResNet-18",
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
#: and a weight that are stable at its learning rate. AFD's features are as long as they are: with length 1 it is less robust
#: there (two seeds: 41 and 50 % of the validation images against 68 and more).
_DEMO: Settings = {
    "model.unit_features": False,
    "training.schedule.milestones": (),
    "objective.hidden": 64,
    "objective.lr_encoder": 0.1,
    "objective.lr_discriminator": 0.1,
    "objective.weight": 0.1,
}


def _profile(profile: Profile) -> Profile:
    pins = {**profile.pins, **_DEMO} if profile.name == "demo" else profile.pins
    return replace(profile, settings={**profile.settings, **_RECIPE, **_ICLR21}, pins=pins)


PROFILES = MappingProxyType({name: _profile(profile) for name, profile in profiles(epochs=900).items()})
PAPER = Paper("afd", "Bashivan et al., ICLR 2021 submission", PROFILES)
