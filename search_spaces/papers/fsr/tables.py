"""The tables of the supplement."""

from search_spaces.baselines import OBJECTIVE, VANILLA
from search_spaces.column import Column
from search_spaces.papers.fsr.space import (
    ATTACKED,
    BLOCK,
    COLUMNS,
    MASK,
    MODULE,
    PAPER,
    RECIPE,
    SEPARATION,
    STRATEGY,
    choice_in_fsr,
)
from search_spaces.settings import Eps, Settings
from search_spaces.study import Arm, Study


def _elsewhere(where: str, alias: str, what: str, settings: Settings) -> Study:
    """Every objective with and without FSR, on another data set or network than the main paper's."""
    title = f"AT, TRADES and MART with and without FSR: {what}"
    return PAPER.study(where, alias, title, OBJECTIVE, MODULE, columns=COLUMNS, fixed={**RECIPE, **settings})


TABLES = (
    _elsewhere("Table S1", "cifar100", "CIFAR-100", {"data.dataset": "cifar100"}),
    # How the larger images are cropped is not said: by the same padding.
    _elsewhere("Table S2", "tiny-imagenet", "Tiny ImageNet", {"data.dataset": "tiny-imagenet"}),
    _elsewhere("Table S3", "wide-resnet", "WRN-34-10", {"model.name": "wrn-34", "model.width": 160}),
    choice_in_fsr("Table S4", "blocks", "FSR after different blocks of ResNet-18", BLOCK),
    choice_in_fsr(
        "Table S5",
        "separation-loss",
        "What the non-robust features are trained for",
        SEPARATION,
        baselines=(Arm(("AT",), VANILLA),),
    ),
    choice_in_fsr(
        "Table S6",
        "mask",
        "A binary mask, or a soft one by Gumbel softmax",
        MASK,
        columns=(*ATTACKED, Column("AutoAttack", {"name": "autoattack", "eps": Eps()})),
    ),
    choice_in_fsr("Table S7", "strategy", "What takes the place of the separation net", STRATEGY, columns=ATTACKED),
)
