"""The figures, but for Figure 1, which is a diagram, and Figure A7, which shows images."""

from search_spaces.column import Column
from search_spaces.factor import Factor
from search_spaces.papers.afd.attacks import CIFAR, DIGITS, MNIST, Scale, ladder, on_every_scale, planes, sensitivity
from search_spaces.papers.afd.space import AFD, DATASET, METHOD, OBJECTIVE, PAPER, STAGE, TRAINING_EPS, TRAINING_STEPS
from search_spaces.profiles import NATURAL
from search_spaces.study import Panel, Study


def _curves(where: str, alias: str, title: str, dataset: str, scale: Scale, methods: Factor = OBJECTIVE) -> Study:
    """Accuracy against the eps of every attack of Table A2 on one data set."""
    columns = (NATURAL, *ladder(scale), *ladder(DIGITS))
    return PAPER.study(where, alias, title, DATASET.only(dataset), methods, columns=columns)


def _plane(where: str, alias: str, dataset: str, scale: Scale) -> Study:
    """Features of one data set in the plane."""
    columns = (NATURAL, *ladder(scale, "PGD-L∞"), *ladder(DIGITS, "PGD-L∞"))
    panels = (Panel("natural", {"name": "t-sne"}), *planes(scale), *planes(DIGITS))
    # The captions of Figures A9 and A10 name a ResNet5, which is nowhere else in the paper.
    title = f"Features in the plane, natural and under PGD-L∞ of several eps, on {dataset}"
    return PAPER.study(where, alias, title, DATASET.only(dataset), OBJECTIVE, columns=columns, panels=panels)


def _pgd(scale: Scale) -> tuple[Column, ...]:
    """Table 1's PGD."""
    return scale.only(Column("PGD-L∞ (WB)", scale.pgd))


FIGURES = (
    PAPER.study(
        "Figure 2",
        "eps",
        "Accuracy against the eps of PGD-L∞",
        DATASET,
        OBJECTIVE,
        columns=(NATURAL, *on_every_scale(lambda scale: ladder(scale, "PGD-L∞"))),
    ),
    _curves("Figure 3", "attacks-cifar10", "Accuracy against the eps of several attacks on CIFAR-10", "CIFAR-10", CIFAR),
    PAPER.study(
        "Figure 4",
        "sensitivity",
        "Median sensitivity of the features to PGD-L∞; gradients of the likelihoods by class",
        DATASET,
        OBJECTIVE,
        columns=on_every_scale(sensitivity),
        panels=(Panel("class gradients", {"name": "class-gradients"}),),
    ),
    _curves("Figure A1", "attacks-mnist", "Accuracy against the eps of several attacks on MNIST", "MNIST", MNIST),
    _curves("Figure A2", "attacks-cifar100", "Accuracy against the eps of several attacks on CIFAR-100", "CIFAR-100", CIFAR),
    _curves(
        "Figure A3",
        "l2-matching",
        "AFD and matching of representations on MNIST",
        "MNIST",
        MNIST,
        METHOD.only("AFD", "L2 matching"),
    ),
    PAPER.study(
        "Figure A4",
        "stages",
        "Accuracy under several attacks at different stages of AFD's training",
        DATASET.only("CIFAR-10", "CIFAR-100"),
        STAGE,
        columns=(NATURAL, *ladder(CIFAR), *ladder(DIGITS)),
        fixed=AFD,
        by_epoch=("natural_accuracy", "robust_accuracy"),
    ),
    PAPER.study(
        "Figure A5",
        "discriminator-accuracy",
        "Accuracy of AFD's discriminator by epoch",
        DATASET,
        METHOD.only("AFD"),
        columns=(NATURAL, *on_every_scale(_pgd)),
        by_epoch=("discriminator_accuracy",),
    ),
    PAPER.study(
        "Figure A6",
        "training-strength",
        "Strength of the attack that AFD is trained with, on CIFAR-10",
        # Section 3.2 names the weakest of these; the figure's others are not legible.
        DATASET.only("CIFAR-10"),
        TRAINING_EPS,
        TRAINING_STEPS,
        columns=(NATURAL, *ladder(CIFAR), *ladder(DIGITS)),
        fixed=AFD,
    ),
    _plane("Figure A8", "t-sne-mnist", "MNIST", MNIST),
    _plane("Figure A9", "t-sne-cifar10", "CIFAR-10", CIFAR),
    _plane("Figure A10", "t-sne-cifar100", "CIFAR-100", CIFAR),
)
