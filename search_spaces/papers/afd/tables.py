"""The tables. A1 and A2 list settings, which are these studies'."""

from dataclasses import replace

from search_spaces import baselines
from search_spaces.column import Column, Measured
from search_spaces.papers.afd.attacks import CIFAR, DIGITS, MNIST, SCALES, Scale, angles, areas, on_few
from search_spaces.papers.afd.space import (
    AFD,
    DATASET,
    DISCRIMINATOR,
    LOSS,
    MNIST_AFD,
    MNIST_ATTACK,
    MNIST_TRADES,
    OBJECTIVE,
    ON_MNIST,
    TRADES,
    TRAINING_ATTACK,
    study,
)
from search_spaces.profiles import NATURAL
from search_spaces.settings import Settings, SourceNetwork


def _transferred(label: str, scale: Scale, attack: Settings, source: Settings, mnist: Settings) -> Column:
    """``attack`` made on a network that was trained with ``source``, and ``mnist`` besides on MNIST."""
    settings = {**ON_MNIST, **source, **mnist} if scale is MNIST else source
    return Column(label, {"name": "transfer", "source": SourceNetwork(settings), "attack": attack})


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
    study(
        "table-1",
        "robustness",
        "AFD beside natural and adversarial training, white-box and from a naturally trained network",
        (DATASET, OBJECTIVE),
        (NATURAL, *(column for scale in SCALES for column in _table_1(scale))),
    ),
    study(
        "table-2",
        "auc",
        "Area under accuracy against eps, normalised",
        (DATASET, OBJECTIVE),
        tuple(column for scale in SCALES for column in areas(scale)),
    ),
    study(
        "table-a3",
        "further-attacks",
        "AutoAttack, Boundary Attack and Brendel & Bethge's, on 100 images",
        (DATASET, OBJECTIVE),
        tuple(column for scale in SCALES for column in on_few(scale)),
    ),
    study(
        "table-a4",
        "transfer",
        "Attacks transferred from adversarially trained networks",
        (DATASET, OBJECTIVE),
        tuple(column for scale in SCALES for column in _table_a4(scale)),
    ),
    study(
        "table-a5",
        "dimensions",
        "Features in use, and principal components for 99% of their variance",
        (DATASET, OBJECTIVE),
        (Measured("Units", {"name": "dimensions"}, "units"), Measured("Dims", {"name": "dimensions"}, "dimensions")),
    ),
    study(
        "table-a6",
        "discriminator",
        "The discriminator's depth, and whether it is told the label, on MNIST",
        (DISCRIMINATOR,),
        (
            Column("PGD-L∞ (WB)", MNIST.pgd, profiles=("paper", "short")),
            *DIGITS.only(Column("PGD-L∞ (WB)", DIGITS.pgd)),
        ),
        fixed={**ON_MNIST, **AFD, **MNIST_AFD},
    ),
    study(
        "table-a7",
        "angles",
        "Angles, in radians, between what attacks and what PGD-L∞ do to the features",
        # Which networks the paper looks at is not legible.
        (DATASET, OBJECTIVE),
        tuple(column for scale in SCALES for column in angles(scale)),
    ),
    replace(
        study(
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
