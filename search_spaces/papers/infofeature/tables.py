"""The tables."""

from search_spaces.column import Column, Measured
from search_spaces.papers.infofeature.space import (
    CW,
    DEFENSES,
    IN_THE_ATTACK,
    RANDOM_PGD,
    RESNET,
    SMOOTH,
    WRN,
    as_training,
    defense,
    infofeature,
    study,
)
from search_spaces.settings import Eps, Settings, SourceSettings


def _unlike(iterations: int, label: str, attack: Settings) -> Measured:
    """How far ``attack`` ends from PGD of so many iterations.

    In the L2 norm over the pixels in [0, 1], as it is: the paper prints a number times 1e5, and not what it is a mean of.
    """
    measure: Settings = {"name": "perturbations", "attack": attack, "reference": {**RANDOM_PGD, "iterations": iterations}}
    return Measured(f"{iterations}-iter {label}", measure, array="distance")


def _distances() -> tuple[Measured, ...]:
    once = (
        _unlike(1, "FeaScatter", as_training({"name": "feature-scattering", "eps": Eps()})),
        _unlike(1, "AdvInterp", as_training({"name": "adversarial-interpolation", "eps": Eps()})),
    )
    iterated = (
        _unlike(n, label, attack)
        for n in (1, 2, 5, 7, 10, 20)
        for label, attack in (("CW", {**CW, "iterations": n}), ("InfoFeature", infofeature(n)))
    )
    return (*once, *iterated)


def _from(label: str) -> tuple[Column, ...]:
    """Attacks of 10 iterations, made on one of Table 1's networks."""
    source = SourceSettings({**RESNET, **DEFENSES[label]})
    return tuple(
        Column(f"{name}-10 ({label})", {"name": "transfer", "source": source, "checkpoint": "best", "attack": attack})
        for name, attack in (("PGD", {**RANDOM_PGD, "iterations": 10}), ("CW", {**CW, "iterations": 10}))
    )


TABLES = (
    study(
        "Table 1",
        "robustness",
        "Regularisation in the loss, and in the attack: ResNet-18",
        defense("Standard", "Madry", "ALP (0.1)", "FM (10)", *IN_THE_ATTACK),
    ),
    study(
        "Table 2",
        "perturbations",
        "Attacks against PGD of as many iterations: L2 norm, pixels in [0, 1] (the paper's unit is unknown)",
        defense("Standard", "Madry"),
        columns=_distances(),
    ),
    # The paper's best and worst of several restarts are the table's best and worst seed, and are printed next to them.
    study(
        "Table 3",
        "wide-resnet",
        "Regularisation in the attack: WRN-28-10",
        defense("Standard", "Madry", *IN_THE_ATTACK),
        fixed=WRN,
    ),
    study(
        "Table 4",
        "cifar100",
        "Regularisation in the attack: WRN-28-10 on CIFAR-100",
        defense("Standard", "Madry", *IN_THE_ATTACK),
        fixed={**WRN, "data.dataset": "cifar100"},
    ),
    study(
        "Table 5",
        "svhn",
        "Regularisation in the attack: SVHN",
        defense("Standard", "Madry", *IN_THE_ATTACK),
        fixed={**RESNET, **SMOOTH, "data.dataset": "svhn", "data.flip": False, "training.lr": 0.01},
    ),
    study(
        "Table 6",
        "transfer",
        "Random noise, and attacks that were made on ResNet-18: WRN-28-10",
        defense("Standard", "Madry", "InfoFeature"),
        columns=(Column("Random Noise", {"name": "noise", "eps": Eps()}), *_from("Standard"), *_from("Madry")),
        fixed=WRN,
    ),
)
