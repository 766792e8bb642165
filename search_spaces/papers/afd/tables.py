"""The tables. A1 and A2 list settings, which are these studies'."""

from search_spaces import baselines
from search_spaces.column import Column, Measured
from search_spaces.papers.afd.attacks import CIFAR, DIGITS, MNIST, Scale, angles, areas, on_every_scale, on_few
from search_spaces.papers.afd.space import (
    AFD,
    DATASET,
    DISCRIMINATOR,
    FEATURE_SCATTERING,
    LENET,
    LOSS,
    MNIST_AFD,
    MNIST_ATTACK,
    MNIST_TRADES,
    NETWORK,
    OBJECTIVE,
    ON_MNIST,
    PAPER,
    RECIPE,
    TRADES,
    TRAINING_ATTACK,
)
from search_spaces.profiles import NATURAL
from search_spaces.settings import Settings, SourceSettings
from search_spaces.study import Arm


def _transferred(label: str, scale: Scale, attack: Settings, source: Settings, mnist: Settings) -> Column:
    """``attack`` made on a network that was trained with ``source``, and ``mnist`` besides on MNIST."""
    settings = {**ON_MNIST, **source, **mnist} if scale is MNIST else source
    return Column(label, {"name": "transfer", "source": SourceSettings(settings), "attack": attack})


def _table_1(scale: Scale) -> tuple[Column, ...]:
    return scale.only(
        Column("PGD-L∞ (WB)", scale.pgd),
        Column("FGSM (WB)", scale.fgsm),
        _transferred("PGD-L∞ (BB)", scale, scale.pgd, baselines.STANDARD, {}),
        _transferred("FGSM (BB)", scale, scale.fgsm, baselines.STANDARD, {}),
    )


def _table_a4(scale: Scale) -> tuple[Column, ...]:
    """The paper does not name the attack; it is Table 1's."""
    return scale.only(
        _transferred("AT Transfer", scale, scale.pgd, baselines.AT, MNIST_ATTACK),
        _transferred("TRADES Transfer", scale, scale.pgd, TRADES, MNIST_TRADES),
    )


TABLES = (
    PAPER.study(
        "Table 1",
        "robustness",
        "AFD, natural and adversarial training, white-box and from a naturally trained network",
        DATASET,
        NETWORK.only("ResNet-18"),
        OBJECTIVE,
        columns=(NATURAL, *on_every_scale(_table_1)),
        # Those of the rows that the paper cites that can be trained here, and AFD on the network that it did without.
        baselines=(
            Arm(("MNIST", "LeNet", "AT"), {**ON_MNIST, **LENET, **baselines.AT, **MNIST_ATTACK}),
            Arm(("MNIST", "LeNet", "TRADES"), {**ON_MNIST, **LENET, **TRADES, **MNIST_TRADES}),
            Arm(("MNIST", "LeNet", "AFD"), {**ON_MNIST, **LENET, **AFD, **MNIST_AFD}),
            Arm(("CIFAR-10", "WRN-28-10", "Feature-scattering"), {"data.dataset": "cifar10", **FEATURE_SCATTERING}),
            Arm(("CIFAR-100", "WRN-28-10", "Feature-scattering"), {"data.dataset": "cifar100", **FEATURE_SCATTERING}),
        ),
    ),
    PAPER.study(
        "Table 2", "auc", "Area under accuracy against eps, normalised", DATASET, OBJECTIVE, columns=on_every_scale(areas)
    ),
    PAPER.study(
        "Table A3",
        "further-attacks",
        "AutoAttack, Boundary Attack and Brendel & Bethge's, on 100 images",
        DATASET,
        OBJECTIVE,
        columns=on_every_scale(on_few),
    ),
    PAPER.study(
        "Table A4",
        "transfer",
        "Attacks transferred from adversarially trained networks",
        DATASET,
        OBJECTIVE,
        columns=on_every_scale(_table_a4),
    ),
    PAPER.study(
        "Table A5",
        "dimensions",
        "Features in use, and principal components for 99% of their variance",
        DATASET,
        OBJECTIVE,
        columns=(Measured("Units", {"name": "dimensions"}, "units"), Measured("Dims", {"name": "dimensions"}, "dimensions")),
    ),
    PAPER.study(
        "Table A6",
        "discriminator",
        "The discriminator's depth, and whether it is given the label, on MNIST",
        DISCRIMINATOR,
        columns=(
            Column("PGD-L∞ (WB)", MNIST.pgd, profiles=("paper", "short")),
            *DIGITS.only(Column("PGD-L∞ (WB)", DIGITS.pgd)),
        ),
        fixed={**ON_MNIST, **AFD, **MNIST_AFD},
    ),
    PAPER.study(
        "Table A7",
        "angles",
        "Angles, in radians, between what attacks and what PGD-L∞ do to the features",
        # Which networks the paper compares is not legible.
        DATASET,
        OBJECTIVE,
        columns=on_every_scale(angles),
    ),
    PAPER.study(
        "and the public code of NeurIPS 2021",
        "recipes",
        "AFD as the text of the submission has it, and as its later public code does",
        DATASET,
        RECIPE,
        columns=(NATURAL, *on_every_scale(_table_1)),
        slug="recipe",
        fixed=AFD,
    ),
    PAPER.study(
        "eq. 2, and the public code of NeurIPS 2021",
        "public-code",
        "The discriminator's loss and the attack in training: the paper's, and its public code's, on CIFAR-10",
        DATASET.only("CIFAR-10"),
        LOSS,
        TRAINING_ATTACK,
        columns=(NATURAL, *_table_1(CIFAR), *_table_1(DIGITS)),
        slug="loss",
        fixed=AFD,
    ),
)
