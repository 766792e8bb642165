"""The figures, but for Figure 2, which is a diagram."""

from search_spaces.baselines import AT, STANDARD
from search_spaces.column import Column
from search_spaces.factor import Level, choice
from search_spaces.papers.cifs.space import CIFS, DEFENSE, IMGF, PROFILES, VANILLA_ROW
from search_spaces.profiles import ATTACKS, CLASSES, NATURAL, activation_pictures, attacked
from search_spaces.study import Study

_PGD_20 = attacked("PGD-20", beta_atk=None)


def _of_classes(*labels: str, beta_atk: tuple[str, ...] | None) -> tuple[Column, ...]:
    """PGD-20 on the images of one class at a time; in the demo, on the digits that have its index."""
    return tuple(
        Column(f"PGD-20 ({name})", ATTACKS["PGD-20"], beta_atk=beta_atk, only=CLASSES.index(label), profiles=profiles)
        for label in labels
        for name, profiles in ((label, ("paper", "short")), (f"digit {CLASSES.index(label)}", ("demo",)))
    )


FIGURES = (
    Study(
        name="cifs/figure-1",
        aliases=("activations",),
        reference="Yan et al., ICML 2021, Figure 1",
        title="Channels of normally and adversarially trained networks, for classes 1 and 3 (CIFAR-10's automobiles and cats)",
        factors=(choice("objective", "training", levels=(Level("Normal", STANDARD), Level("AT", AT)), default="AT"),),
        columns=(*attacked("PGD-20", beta_atk=("own",)), *_of_classes("automobile", "cat", beta_atk=("own",))),
        profiles=PROFILES,
        pictures=activation_pictures(CLASSES.index("automobile"), CLASSES.index("cat")),
    ),
    Study(
        name="cifs/figure-3",
        aliases=("imgf", "figure-a2"),
        reference="Yan et al., ICML 2021, Figures 3 and A.2",
        title="Functions that make masks of relevances, and the channels that they leave of each class",
        factors=(IMGF,),
        columns=_PGD_20,
        profiles=PROFILES,
        fixed=CIFS,
        baselines=VANILLA_ROW,
        pictures=activation_pictures(*range(len(CLASSES))),
    ),
    Study(
        name="cifs/figure-4",
        aliases=("epochs",),
        reference="Yan et al., ICML 2021, Figure 4",
        title="Training loss and PGD-20 accuracy by epoch, and what overfitting costs",
        factors=(DEFENSE.only("Vanilla", "CIFS"),),
        columns=(NATURAL, *_PGD_20),
        profiles=PROFILES,
        checkpoint="both",
        by_epoch=("train_loss", "robust_accuracy"),
    ),
    Study(
        name="cifs/figure-a1",
        aliases=("classes",),
        reference="Yan et al., ICML 2021, Figure A.1",
        title="PGD-20 accuracy of each class",
        factors=(IMGF,),
        columns=_of_classes(*CLASSES, beta_atk=None),
        profiles=PROFILES,
        fixed=CIFS,
        baselines=VANILLA_ROW,
    ),
)
