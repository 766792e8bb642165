"""Adversarial Feature Desensitization (Bashivan et al., submitted to ICLR 2021): its search space and its ablations.

It was published at NeurIPS 2021, with public code of which some settings differ. Where the submission is silent or its table is
garbled they are the code's.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from optuna.distributions import FloatDistribution, IntDistribution

from search_spaces import baselines
from search_spaces.afd_attacks import CIFAR, DIGITS, MNIST, SCALES, Scale, angles, areas, ladder, on_few, planes, sensitivity
from search_spaces.column import AnyColumn, Column, Measured, Source
from search_spaces.factor import Eps, Factor, Level, Settings, choice, scalar
from search_spaces.profiles import NATURAL, profiles
from search_spaces.study import Picture, Profile, Study

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
_MNIST: Settings = {
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
_MNIST_ATTACK: Settings = {"attack.eps": 0.3, "attack.step": 0.01, "attack.iterations": 40}

#: Section 3.2; the learning rates are the public code's, Table A1 being illegible.
AFD: Settings = {
    "objective.name": "afd",
    "objective.discriminator": "FC3-PD",
    "objective.hidden": 512,
    "objective.loss": "softplus",
    "objective.lr_encoder": 0.5,
    "objective.lr_discriminator": 0.1,
}
_MNIST_AFD: Settings = {**_MNIST_ATTACK, "objective.hidden": 64, "objective.lr_discriminator": 0.5}
#: The paper ran "the official code": its attack, and lambda as its authors report it on CIFAR-10 and as the code has it on
#: MNIST. Rates and epochs stay those of Table A1, which is of "all experiments".
_TRADES: Settings = {**baselines.TRADES, "attack.step": 0.007, "attack.iterations": 10}
_MNIST_TRADES: Settings = {**_MNIST_ATTACK, "objective.lam": 1.0}

DISCRIMINATOR = choice(
    "discriminator",
    "Da",
    levels=tuple(Level(name, {"objective.discriminator": name}) for name in ("FC1-PD", "FC3", "FC3-PD")),
    default="FC3-PD",
)
HIDDEN = scalar(
    "hidden", "d", "objective.hidden", levels=(64, 512), default=512, distribution=IntDistribution(16, 1024, log=True)
)
LOSS = choice(
    "loss",
    "L_Da",
    levels=(Level("softplus", {"objective.loss": "softplus"}), Level("critic", {"objective.loss": "critic"})),
    default="softplus",
)
LR_ENCODER = scalar(
    "lr_encoder",
    "γ",
    "objective.lr_encoder",
    levels=(0.1, 0.5),
    default=0.5,
    distribution=FloatDistribution(1e-3, 1, log=True),
)
LR_DISCRIMINATOR = scalar(
    "lr_discriminator",
    "β",
    "objective.lr_discriminator",
    levels=(0.1, 0.5),
    default=0.1,
    distribution=FloatDistribution(1e-3, 1, log=True),
)
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
    levels=(Level("ε = 4/255", {"attack.eps": 4 / 255}), Level("ε = 0.031", {"attack.eps": 0.031})),
    default="ε = 0.031",
    distribution=FloatDistribution(1 / 255, 16 / 255),
)
TRAINING_STEPS = Factor(
    "training steps",
    "steps",
    levels=tuple(Level(f"{n} steps", {"attack.iterations": n}) for n in (5, 20)),
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
        Level("MNIST", _MNIST),
        Level("CIFAR-10", {"data.dataset": "cifar10"}),
        Level("CIFAR-100", {"data.dataset": "cifar100"}),
    ),
    default="CIFAR-10",
)
#: For the matching of representations (section 3.2, "Adversarial vs. L2 optimization") the paper has no weight.
_METHOD = choice(
    "objective",
    "objective",
    levels=(
        Level("NT", baselines.STANDARD),
        Level("AT", baselines.AT, beside={"MNIST": _MNIST_ATTACK}),
        Level("TRADES", _TRADES, beside={"MNIST": _MNIST_TRADES}),
        Level("AFD", AFD, beside={"MNIST": _MNIST_AFD}),
        Level("L2 matching", {"objective.name": "l2-matching", "objective.weight": 1.0}, beside={"MNIST": _MNIST_ATTACK}),
    ),
    default="AFD",
)
OBJECTIVE = _METHOD.only("NT", "AT", "TRADES", "AFD")
#: A training of fewer epochs, whose rate drops at the same ones, is the beginning of a longer one. The figure's own are not
#: legible.
STAGE = scalar(
    "stage",
    "epoch",
    "training.epochs",
    levels=(100, 300, 500, 700, 900),
    default=900,
    distribution=IntDistribution(1, 900),
)

#: What differs between data sets, besides the demo's own; a discriminator for its 64 features, and rates and a weight that its
#: learning rate leaves stable.
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


_PROFILES = MappingProxyType({name: _profile(profile) for name, profile in profiles(epochs=900).items()})


def _transferred(label: str, scale: Scale, attack: Settings, source: Settings, mnist: Settings) -> Column:
    """``attack`` made on a network that was trained with ``source``, and ``mnist`` besides on MNIST."""
    settings = {**_MNIST, **source, **mnist} if scale is MNIST else source
    return Column(label, {"name": "transfer", "source": Source(settings), "attack": attack}, where=scale.where)


def _table_1(scale: Scale) -> tuple[Column, ...]:
    return (
        Column("PGD-L∞ (WB)", scale.pgd, where=scale.where),
        Column("FGSM (WB)", scale.fgsm, where=scale.where),
        _transferred("PGD-L∞ (BB)", scale, scale.pgd, baselines.STANDARD, {}),
        _transferred("FGSM (BB)", scale, scale.fgsm, baselines.STANDARD, {}),
    )


def _table_a4(scale: Scale) -> tuple[Column, ...]:
    """The paper does not name the attack; it is Table 1's."""
    return (
        _transferred("AT Transfer", scale, scale.pgd, baselines.AT, _MNIST_ATTACK),
        _transferred("TRADES Transfer", scale, scale.pgd, _TRADES, _MNIST_TRADES),
    )


def _study(
    name: str,
    alias: str,
    title: str,
    factors: tuple[Factor, ...],
    columns: tuple[AnyColumn, ...],
    fixed: Settings = MappingProxyType({}),
    pictures: tuple[Picture, ...] = (),
    by_epoch: tuple[str, ...] = (),
) -> Study:
    return Study(
        name=f"afd/{name}",
        aliases=(alias,),
        reference=f"Bashivan et al., ICLR 2021 submission, {name.replace('-', ' ').title()}",
        title=title,
        factors=factors,
        columns=columns,
        profiles=_PROFILES,
        fixed=fixed,
        pictures=pictures,
        by_epoch=by_epoch,
    )


def _curves(figure: str, alias: str, title: str, dataset: str, scale: Scale, methods: Factor = OBJECTIVE) -> Study:
    """Accuracy against the eps of every attack of Table A2 on one data set."""
    columns = (NATURAL, *ladder(scale), *ladder(DIGITS))
    return _study(figure, alias, title, (DATASET.only(dataset), methods), columns)


def _plane(figure: str, alias: str, dataset: str, scale: Scale) -> Study:
    columns = (NATURAL, *ladder(scale, "PGD-L∞"), *ladder(DIGITS, "PGD-L∞"))
    pictures = (Picture("natural", {"name": "t-sne"}), *planes(scale), *planes(DIGITS))
    # The captions of Figures A9 and A10 name a ResNet5, which is nowhere else in the paper.
    title = f"Features in the plane, natural and under PGD-L∞ of several eps, on {dataset}"
    return _study(figure, alias, title, (DATASET.only(dataset), OBJECTIVE), columns, pictures=pictures)


STUDIES = (
    _study(
        "table-1",
        "robustness",
        "AFD beside natural and adversarial training, white-box and from a naturally trained network",
        (DATASET, OBJECTIVE),
        (NATURAL, *(column for scale in SCALES for column in _table_1(scale))),
    ),
    _study(
        "figure-2",
        "eps",
        "Accuracy against the eps of PGD-L∞",
        (DATASET, OBJECTIVE),
        (NATURAL, *(column for scale in SCALES for column in ladder(scale, "PGD-L∞"))),
    ),
    _study(
        "table-2",
        "auc",
        "Area under accuracy against eps, normalised",
        (DATASET, OBJECTIVE),
        tuple(column for scale in SCALES for column in areas(scale)),
    ),
    _curves("figure-3", "attacks-cifar10", "Accuracy against the eps of several attacks on CIFAR-10", "CIFAR-10", CIFAR),
    _study(
        "figure-4",
        "sensitivity",
        "Median sensitivity of the features to PGD-L∞; gradients of the likelihoods by class",
        (DATASET, OBJECTIVE),
        tuple(column for scale in SCALES for column in sensitivity(scale)),
        pictures=(Picture("class gradients", {"name": "class-gradients"}),),
    ),
    _study(
        "table-a3",
        "further-attacks",
        "AutoAttack, Boundary Attack and Brendel & Bethge's, on 100 images",
        (DATASET, OBJECTIVE),
        tuple(column for scale in SCALES for column in on_few(scale)),
    ),
    _study(
        "table-a4",
        "transfer",
        "Attacks transferred from adversarially trained networks",
        (DATASET, OBJECTIVE),
        tuple(column for scale in SCALES for column in _table_a4(scale)),
    ),
    _study(
        "table-a5",
        "dimensions",
        "Features in use, and principal components for 99% of their variance",
        (DATASET, OBJECTIVE),
        (Measured("Units", {"name": "dimensions"}, "units"), Measured("Dims", {"name": "dimensions"}, "dimensions")),
    ),
    _study(
        "table-a6",
        "discriminator",
        "The discriminator's depth, and whether it is told the label, on MNIST",
        (DISCRIMINATOR,),
        (
            Column("PGD-L∞ (WB)", MNIST.pgd, where=("paper", "short")),
            Column("PGD-L∞ (WB)", DIGITS.pgd, where=DIGITS.where),
        ),
        fixed={**_MNIST, **AFD, **_MNIST_AFD},
    ),
    _study(
        "table-a7",
        "angles",
        "Angles, in radians, between what attacks and what PGD-L∞ do to the features",
        # Which networks the paper looks at is not legible.
        (DATASET, OBJECTIVE),
        tuple(column for scale in SCALES for column in angles(scale)),
    ),
    _curves("figure-a1", "attacks-mnist", "Accuracy against the eps of several attacks on MNIST", "MNIST", MNIST),
    _curves("figure-a2", "attacks-cifar100", "Accuracy against the eps of several attacks on CIFAR-100", "CIFAR-100", CIFAR),
    _curves(
        "figure-a3",
        "l2-matching",
        "AFD beside matching of representations on MNIST",
        "MNIST",
        MNIST,
        _METHOD.only("AFD", "L2 matching"),
    ),
    _study(
        "figure-a4",
        "stages",
        "Accuracy under several attacks at different stages of AFD's training",
        (DATASET.only("CIFAR-10", "CIFAR-100"), STAGE),
        (NATURAL, *ladder(CIFAR), *ladder(DIGITS)),
        fixed=AFD,
        by_epoch=("natural_accuracy", "robust_accuracy"),
    ),
    _study(
        "figure-a5",
        "discriminator-accuracy",
        "Accuracy of AFD's discriminator by epoch",
        (DATASET, _METHOD.only("AFD")),
        (NATURAL, *(Column("PGD-L∞ (WB)", scale.pgd, where=scale.where) for scale in SCALES)),
        by_epoch=("discriminator_accuracy",),
    ),
    _study(
        "figure-a6",
        "training-strength",
        "Strength of the attack that AFD is trained with, on CIFAR-10",
        # Section 3.2 names the weakest of these; the figure's others are not legible.
        (DATASET.only("CIFAR-10"), TRAINING_EPS, TRAINING_STEPS),
        (NATURAL, *ladder(CIFAR), *ladder(DIGITS)),
        fixed=AFD,
    ),
    _plane("figure-a8", "t-sne-mnist", "MNIST", MNIST),
    _plane("figure-a9", "t-sne-cifar10", "CIFAR-10", CIFAR),
    _plane("figure-a10", "t-sne-cifar100", "CIFAR-100", CIFAR),
    replace(
        _study(
            "loss",
            "public-code",
            "The discriminator's loss and the attack in training: the paper's, and its public code's, on CIFAR-10",
            (DATASET.only("CIFAR-10"), LOSS, TRAINING_ATTACK),
            (NATURAL, *_table_1(CIFAR), *_table_1(DIGITS)),
            fixed=AFD,
        ),
        reference="Bashivan et al., ICLR 2021 submission, eq. 2, and the public code of NeurIPS 2021",
    ),
)

#: What the paper shows and no study does, and why.
LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "afd/figure-1": "it is a diagram",
        "afd/table-a1": "it lists settings, which are these studies'",
        "afd/table-a2": "it lists settings, which are these studies'",
        "afd/figure-a7": "it shows images, changed along the gradients of classes, and no measure keeps images; "
        "how large the gradients are is in afd/figure-4",
    }
)
