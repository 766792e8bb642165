"""The figures, but for Figure 2, which is a diagram."""

from dataclasses import replace

from search_spaces.baselines import AT, STANDARD
from search_spaces.column import Column
from search_spaces.factor import Level, choice
from search_spaces.papers.cifs.space import CIFS, DEFENSE, IMGF, PAPER, VANILLA_ROW
from search_spaces.profiles import CLASSES, FROM_IMAGES, NATURAL, activation_panels, attacked

_PGD_20 = attacked("PGD-20", beta_atk=None, attacks=FROM_IMAGES)


def _of_classes(*labels: str, beta_atk: tuple[str, ...] | None) -> tuple[Column, ...]:
    """PGD-20 on the images of one class at a time; in the demo, on the digits that have its index."""
    return tuple(
        Column(f"PGD-20 ({name})", FROM_IMAGES["PGD-20"], beta_atk=beta_atk, only=CLASSES.index(label), profiles=profiles)
        for label in labels
        for name, profiles in ((label, ("paper", "short")), (f"digit {CLASSES.index(label)}", ("demo",)))
    )


FIGURES = (
    PAPER.study(
        "Figure 1",
        "activations",
        "Channels of normally and adversarially trained networks, for classes 1 and 3 (CIFAR-10's automobiles and cats)",
        choice("objective", "training", levels=(Level("Normal", STANDARD), Level("AT", AT)), default="AT"),
        columns=(
            *attacked("PGD-20", beta_atk=("own",), attacks=FROM_IMAGES),
            *_of_classes("automobile", "cat", beta_atk=("own",)),
        ),
        panels=activation_panels(CLASSES.index("automobile"), CLASSES.index("cat")),
    ),
    replace(
        PAPER.study(
            "Figures 3 and A.2",
            "imgf",
            "Functions that make masks of relevances, and the channels that they leave of each class",
            IMGF,
            columns=_PGD_20,
            slug="figure-3",
            fixed=CIFS,
            baselines=VANILLA_ROW,
            panels=activation_panels(*range(len(CLASSES))),
        ),
        aliases=("imgf", "figure-a2"),
    ),
    PAPER.study(
        "Figure 4",
        "epochs",
        "Training loss and PGD-20 accuracy by epoch, and what overfitting costs",
        DEFENSE.only("Vanilla", "CIFS"),
        columns=(NATURAL, *_PGD_20),
        checkpoint="both",
        by_epoch=("train_loss", "robust_accuracy"),
    ),
    PAPER.study(
        "Figure A.1",
        "classes",
        "PGD-20 accuracy of each class",
        IMGF,
        columns=_of_classes(*CLASSES, beta_atk=None),
        fixed=CIFS,
        baselines=VANILLA_ROW,
    ),
)
