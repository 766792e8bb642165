"""The method, its rivals and its factors, and what its studies share."""

from optuna.distributions import FloatDistribution, IntDistribution

from search_spaces.baselines import AT, STANDARD
from search_spaces.column import AnyColumn, Column
from search_spaces.factor import Factor, Level, choice, levels_of, scalar
from search_spaces.ladders import over_iterations
from search_spaces.papers.paper import Paper
from search_spaces.profiles import NATURAL, cw, pgd, profiles
from search_spaces.settings import Eps, Settings
from search_spaces.study import Study

#: Section 4: every iterative attack has steps of size 2 where eps is 8. Both are twice that on images in [-1, 1], which is what
#: the network makes of them here, inside.
STEP = Eps(1 / 4)
RANDOM_PGD = pgd(7, STEP)
CW = {**cw(7), "step": STEP}


def infofeature(iterations: int) -> Settings:
    """Equation 7 as an attack of evaluations."""
    return as_training({**pgd(iterations, STEP), "name": "infofeature", "lam": 0.1})


def as_training(attack: Settings) -> Settings:
    """Make an evaluation's attack of a training's."""
    return {"name": "as-training", "attack": attack}


#: Section 4. The size of a batch is not said; the profiles' 128 is the field's. Nor is which attack chooses the best epoch:
#: the profiles' PGD-20.
RESNET: Settings = {"model.normalise": True, "training.schedule.milestones": (60, 90)}
#: Section 4.2: what it takes over from "Bag of tricks for adversarial training", for adversarial training in all of its tables.
#: Early stopping is another thing that it takes over. Of its 200 epochs the best is shown, so it is what ``checkpoint`` says.
SMOOTH: Settings = {"objective.label_smoothing": 0.5}
#: Section 4.2; the remaining hyperparameters are unchanged, the epochs of the drops with them.
WRN: Settings = {**RESNET, **SMOOTH, "model.name": "wrn-28", "model.width": 160, "training.epochs": 200}

#: Under attack a standard network is best before it has learnt anything: it is chosen by its natural accuracy.
_STANDARD: Settings = {**STANDARD, "selection.attack.name": "natural"}
#: Section 3.2. Which class's map it is, and which norm, see :mod:`trainables.attacks.training.infofeature`.
INFOFEATURE: Settings = {
    **AT,
    "attack.name": "infofeature",
    "attack.eps": Eps(),
    "attack.step": STEP,
    "attack.iterations": 7,
    "attack.lam": 0.1,
    "attack.distance": "l2",
}
#: Which statistics batch norms have in the attack is not said before section 4.2: the running ones, as there.
_AGAINST_PGD: Settings = {"attack.name": "pgd", "attack.eps": Eps(), "attack.step": STEP, "attack.iterations": 7}
MADRY: Settings = {**AT, **_AGAINST_PGD}
DEFENSES: dict[str, Settings] = {
    "Standard": _STANDARD,
    "Madry": MADRY,
    # Section 4.1: the weights that their papers suggest.
    "ALP (0.1)": {**_AGAINST_PGD, "objective.name": "alp", "objective.weight": 0.1},
    "FM (10)": {**_AGAINST_PGD, "objective.name": "feature-matching", "objective.weight": 10.0},
    # Both as their public codes have them: one step of size eps, and soft labels. Feature Scattering's trains in batches of 60,
    # and its learning rate drops after epochs 60 and 90.
    "FeaScatter": {
        **AT,
        **SMOOTH,
        "attack.name": "feature-scattering",
        "attack.eps": Eps(),
        "training.batch_size": 60,
        "training.schedule.milestones": (61, 91),
    },
    "AdvInterp": {
        **AT,
        "objective.label_smoothing": 0.0,
        "attack.name": "adversarial-interpolation",
        "attack.eps": Eps(),
        "attack.eps_y": 0.5,
    },
    "InfoFeature": INFOFEATURE,
}

LAMBDA = scalar(
    "lambda",
    "λ",
    "attack.lam",
    levels=(0.01, 0.05, 0.1, 0.5, 1.0),
    default=0.1,
    distribution=FloatDistribution(0.001, 10, log=True),
)
ITERATIONS = scalar(
    "iterations",
    "iterations",
    "attack.iterations",
    levels=(1, 3, 5, 7, 10),
    default=7,
    distribution=IntDistribution(1, 20),
)
DISTANCE = choice("distance", "D", levels_of("attack.distance", {"L1": "l1", "L2": "l2", "cosine": "cosine"}), default="L2")
SPACE = (LAMBDA, ITERATIONS, DISTANCE)


def defense(*labels: str) -> Factor:
    """Whole methods: those of ``labels``, the last of them the one to choose."""
    return choice("defense", "defense", tuple(Level(label, DEFENSES[label]) for label in labels), default=labels[-1])


#: The methods that regularise in the attack.
IN_THE_ATTACK = ("FeaScatter", "AdvInterp", "InfoFeature")
# The demo's last map is a single place, where the L1 and the L2 norm are equal and a cosine cannot change.
PROFILES = profiles(epochs=120, demo={"attack.distance": "l2"})
PAPER = Paper("infofeature", "Yan & Yeung", PROFILES)
COLUMNS: tuple[AnyColumn, ...] = (
    NATURAL,
    Column("FGSM", {"name": "fgsm", "eps": Eps()}),
    *over_iterations("PGD", RANDOM_PGD, (7, 20)),
    *over_iterations("CW", CW, (20,)),
)


def study(
    where: str,
    alias: str,
    title: str,
    factor: Factor,
    columns: tuple[AnyColumn, ...] = COLUMNS,
    fixed: Settings = RESNET,
    by_epoch: tuple[str, ...] = (),
) -> Study:
    """Make a table or figure; all of them show the best epoch."""
    return PAPER.study(where, alias, title, factor, columns=columns, fixed=fixed, checkpoint="best", by_epoch=by_epoch)
