"""The figures, but for the diagrams 1 and 2, and the ablations of section 3.2."""

from search_spaces.column import Column
from search_spaces.ladders import over_iterations
from search_spaces.papers.infofeature.space import (
    COLUMNS,
    IN_THE_ATTACK,
    INFOFEATURE,
    ITERATIONS,
    LAMBDA,
    MADRY,
    PAPER,
    RANDOM_PGD,
    RESNET,
    defense,
    infofeature,
    study,
)
from search_spaces.profiles import NATURAL, profiles
from search_spaces.study import Arm

FIGURES = (
    study(
        "Figure 3",
        "epochs",
        "Validation accuracy by epoch, with regularisation in the loss and in the attack",
        defense("Madry", "ALP (0.1)", "FM (10)", *IN_THE_ATTACK),
        columns=(NATURAL, *over_iterations("PGD", RANDOM_PGD, (20,))),
        by_epoch=("natural_accuracy", "robust_accuracy"),
    ),
    # Its axis cannot be read in the text; Table 2 has these iterations.
    study(
        "Figure 4",
        "attack-iterations",
        "PGD and InfoFeature as attacks, by their iterations",
        defense("Standard", "Madry"),
        columns=(
            *over_iterations("PGD", RANDOM_PGD, (1, 2, 5, 7, 10, 20)),
            *(Column(f"InfoFeature-{n}", infofeature(n)) for n in (1, 2, 5, 7, 10, 20)),
        ),
    ),
    # Their numbers are in a supplement that we do not have. Section 3.2 says what was found best: λ = 0.1, and 3 to 7
    # iterations. The other levels are ours.
    PAPER.study(
        "section 3.2",
        "lam",
        "Weight of the change of the class activation map",
        LAMBDA,
        columns=COLUMNS,
        slug="lambda",
        fixed={**RESNET, **INFOFEATURE},
        baselines=(Arm(("λ = 0",), MADRY),),
        checkpoint="best",
    ),
    PAPER.study(
        "section 3.2",
        "attack-steps",
        "Iterations of the InfoFeature attack in training",
        ITERATIONS,
        columns=COLUMNS,
        slug="iterations",
        profiles=profiles(epochs=120, free=("attack.iterations",)),
        fixed={**RESNET, **INFOFEATURE},
        checkpoint="best",
    ),
)
