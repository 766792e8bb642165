"""The figures of the supplement. Their axes cannot be read in the text, so their points are ours."""

from search_spaces.column import Column
from search_spaces.ladders import over_eps, over_iterations
from search_spaces.papers.fsr.space import LAMBDA_REC, LAMBDA_SEP, MODULE, PAPER, RECIPE, TAU, choice_in_fsr
from search_spaces.profiles import FROM_IMAGES, NATURAL

FIGURES = (
    choice_in_fsr("Figure S1a", "tau", "Temperature of the mask", TAU),
    choice_in_fsr("Figure S1b", "lambda-sep", "Weight of the separation loss", LAMBDA_SEP),
    choice_in_fsr("Figure S1c", "lambda-rec", "Weight of the recalibration loss", LAMBDA_REC),
    # Section 3: what gives obfuscated gradients away, with FSR and without.
    PAPER.study(
        "Figure S2a",
        "iterations",
        "PGD of more and more iterations",
        MODULE,
        columns=over_iterations("PGD", FROM_IMAGES["PGD-100"], (1, 2, 5, 10, 20, 50, 100)),
        fixed=RECIPE,
    ),
    PAPER.study(
        "Figure S2b",
        "eps",
        "PGD within larger and larger perturbations",
        MODULE,
        columns=(
            NATURAL,
            *over_eps(FROM_IMAGES["PGD-20"], (1 / 4, 1 / 2, 1, 2, 4, 8), step=1 / 10),
            # Any image from any other: every classifier must be at 0 %.
            Column("unbounded", {"name": "pgd", "eps": 1.0, "step": 0.05, "iterations": 100}),
        ),
        fixed=RECIPE,
    ),
)
