"""Adversarial training with an informative feature-based attack (Yan & Yeung): its search space and its tables."""

from optuna.distributions import FloatDistribution, IntDistribution

from search_spaces.baselines import AT, STANDARD
from search_spaces.column import AnyColumn, Column, Measured
from search_spaces.factor import Factor, Level, choice, scalar
from search_spaces.ladders import over_iterations
from search_spaces.profiles import NATURAL, cw, pgd, profiles
from search_spaces.settings import Eps, Settings, SourceNetwork
from search_spaces.study import Arm, Study

#: Section 4: every iterative attack has steps of size 2 where eps is 8. Both are twice that on images in [-1, 1], which is what
#: the network makes of them here, inside.
_STEP = Eps(1 / 4)
_RANDOM_PGD = pgd(7, _STEP)
_CW = {**cw(7), "step": _STEP}


def _infofeature(iterations: int) -> Settings:
    """Equation 7 as an attack of evaluations."""
    return _as_training({**pgd(iterations, _STEP), "name": "infofeature", "lam": 0.1})


def _as_training(attack: Settings) -> Settings:
    return {"name": "as-training", "attack": attack}


#: Section 4. The size of a batch is not said; the profiles' 128 is the field's. Nor is which attack chooses the best epoch:
#: the profiles' PGD-20.
RESNET: Settings = {"model.normalise": True, "training.schedule.milestones": (60, 90)}
#: Section 4.2: what it takes over from "Bag of tricks for adversarial training", for adversarial training in all of its tables.
#: Early stopping is another thing that it takes over. Of its 200 epochs the best is shown, so it is what ``checkpoint`` says.
_SMOOTH: Settings = {"objective.label_smoothing": 0.5}
#: Section 4.2; the remaining hyperparameters are unchanged, the epochs of the drops with them.
WRN: Settings = {**RESNET, **_SMOOTH, "model.name": "wrn-28", "model.width": 160, "training.epochs": 200}

#: Under attack a standard network is best before it has learnt anything: it is chosen by its natural accuracy.
_STANDARD: Settings = {**STANDARD, "selection.attack.name": "natural"}
#: Section 3.2. Which class's map it is, and which norm, see :mod:`trainables.attacks.training.infofeature`.
INFOFEATURE: Settings = {
    **AT,
    "attack.name": "infofeature",
    "attack.eps": Eps(),
    "attack.step": _STEP,
    "attack.iterations": 7,
    "attack.lam": 0.1,
    "attack.distance": "l2",
}
#: Which statistics batch norms have in the attack is not said before section 4.2: the running ones, as there.
_AGAINST_PGD: Settings = {"attack.name": "pgd", "attack.eps": Eps(), "attack.step": _STEP, "attack.iterations": 7}
_MADRY: Settings = {**AT, **_AGAINST_PGD}
_DEFENSES: dict[str, Settings] = {
    "Standard": _STANDARD,
    "Madry": _MADRY,
    # Section 4.1: the weights that their papers suggest.
    "ALP (0.1)": {**_AGAINST_PGD, "objective.name": "alp", "objective.weight": 0.1},
    "FM (10)": {**_AGAINST_PGD, "objective.name": "feature-matching", "objective.weight": 10.0},
    # Both as their public codes have them: one step of size eps, and soft labels.
    "FeaScatter": {**AT, **_SMOOTH, "attack.name": "feature-scattering", "attack.eps": Eps()},
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
DISTANCE = choice(
    "distance",
    "D",
    levels=(
        Level("L1", {"attack.distance": "l1"}),
        Level("L2", {"attack.distance": "l2"}),
        Level("cosine", {"attack.distance": "cosine"}),
    ),
    default="L2",
)
SPACE = (LAMBDA, ITERATIONS, DISTANCE)


def _defense(*labels: str) -> Factor:
    """Whole methods: those of ``labels``, the last of them the one to choose."""
    return choice("defense", "defense", tuple(Level(label, _DEFENSES[label]) for label in labels), default=labels[-1])


_IN_THE_ATTACK = ("FeaScatter", "AdvInterp", "InfoFeature")
PROFILES = profiles(epochs=120)
_COLUMNS: tuple[AnyColumn, ...] = (
    NATURAL,
    Column("FGSM", {"name": "fgsm", "eps": Eps()}),
    *over_iterations("PGD", _RANDOM_PGD, (7, 20)),
    *over_iterations("CW", _CW, (20,)),
)


def _unlike(iterations: int, label: str, attack: Settings) -> Measured:
    """How far ``attack`` ends from PGD of so many iterations.

    In the L2 norm over the pixels in [0, 1], as it is: the paper prints a number times 1e5, and not what it is a mean of.
    """
    measure: Settings = {"name": "perturbations", "attack": attack, "reference": {**_RANDOM_PGD, "iterations": iterations}}
    return Measured(f"{iterations}-iter {label}", measure, array="distance")


def _distances() -> tuple[Measured, ...]:
    once = (
        _unlike(1, "FeaScatter", _as_training({"name": "feature-scattering", "eps": Eps()})),
        _unlike(1, "AdvInterp", _as_training({"name": "adversarial-interpolation", "eps": Eps()})),
    )
    iterated = (
        _unlike(n, label, attack)
        for n in (1, 2, 5, 7, 10, 20)
        for label, attack in (("CW", {**_CW, "iterations": n}), ("InfoFeature", _infofeature(n)))
    )
    return (*once, *iterated)


def _from(label: str) -> tuple[Column, ...]:
    """Attacks of 10 iterations, made on one of Table 1's networks."""
    source = SourceNetwork({**RESNET, **_DEFENSES[label]})
    return tuple(
        Column(f"{name}-10 ({label})", {"name": "transfer", "source": source, "checkpoint": "best", "attack": attack})
        for name, attack in (("PGD", {**_RANDOM_PGD, "iterations": 10}), ("CW", {**_CW, "iterations": 10}))
    )


def _study(
    slug: str,
    alias: str,
    title: str,
    factor: Factor,
    columns: tuple[AnyColumn, ...] = _COLUMNS,
    fixed: Settings = RESNET,
    by_epoch: tuple[str, ...] = (),
) -> Study:
    kind, number = slug.split("-")
    return Study(
        name=f"infofeature/{slug}",
        aliases=(alias,),
        reference=f"Yan & Yeung, {kind.title()} {number}",
        title=title,
        factors=(factor,),
        columns=columns,
        profiles=PROFILES,
        fixed=fixed,
        checkpoint="best",
        by_epoch=by_epoch,
    )


STUDIES = (
    _study(
        "table-1",
        "robustness",
        "Regularisation in the loss, and in the attack: ResNet-18",
        _defense("Standard", "Madry", "ALP (0.1)", "FM (10)", *_IN_THE_ATTACK),
    ),
    _study(
        "table-2",
        "perturbations",
        "Attacks against PGD of as many iterations: L2 norm, pixels in [0, 1] (the paper's unit is unknown)",
        _defense("Standard", "Madry"),
        columns=_distances(),
    ),
    # The paper's best and worst of several restarts are the table's best and worst seed, and stand beside them.
    _study(
        "table-3",
        "wide-resnet",
        "Regularisation in the attack: WRN-28-10",
        _defense("Standard", "Madry", *_IN_THE_ATTACK),
        fixed=WRN,
    ),
    _study(
        "table-4",
        "cifar100",
        "Regularisation in the attack: WRN-28-10 on CIFAR-100",
        _defense("Standard", "Madry", *_IN_THE_ATTACK),
        fixed={**WRN, "data.dataset": "cifar100"},
    ),
    _study(
        "table-5",
        "svhn",
        "Regularisation in the attack: SVHN",
        _defense("Standard", "Madry", *_IN_THE_ATTACK),
        fixed={**RESNET, **_SMOOTH, "data.dataset": "svhn", "data.flip": False, "training.lr": 0.01},
    ),
    _study(
        "table-6",
        "transfer",
        "Random noise, and attacks that were made on ResNet-18: WRN-28-10",
        _defense("Standard", "Madry", "InfoFeature"),
        columns=(Column("Random Noise", {"name": "noise", "eps": Eps()}), *_from("Standard"), *_from("Madry")),
        fixed=WRN,
    ),
    _study(
        "figure-3",
        "epochs",
        "Validation accuracy by epoch, with regularisation in the loss and in the attack",
        _defense("Madry", "ALP (0.1)", "FM (10)", *_IN_THE_ATTACK),
        columns=(NATURAL, *over_iterations("PGD", _RANDOM_PGD, (20,))),
        by_epoch=("natural_accuracy", "robust_accuracy"),
    ),
    # Its axis cannot be read in the text; Table 2 has these iterations.
    _study(
        "figure-4",
        "attack-iterations",
        "PGD and InfoFeature as attacks, by their iterations",
        _defense("Standard", "Madry"),
        columns=(
            *over_iterations("PGD", _RANDOM_PGD, (1, 2, 5, 7, 10, 20)),
            *(Column(f"InfoFeature-{n}", _infofeature(n)) for n in (1, 2, 5, 7, 10, 20)),
        ),
    ),
    # Their numbers are in a supplement that we do not have. Section 3.2 says what was found best: λ = 0.1, and 3 to 7
    # iterations. The other levels are ours.
    Study(
        name="infofeature/lambda",
        aliases=("lam",),
        reference="Yan & Yeung, section 3.2",
        title="Weight of the change of the class activation map",
        factors=(LAMBDA,),
        columns=_COLUMNS,
        profiles=PROFILES,
        fixed={**RESNET, **INFOFEATURE},
        baselines=(Arm(("λ = 0",), _MADRY),),
        checkpoint="best",
    ),
    Study(
        name="infofeature/iterations",
        aliases=("attack-steps",),
        reference="Yan & Yeung, section 3.2",
        title="Iterations of the InfoFeature attack in training",
        factors=(ITERATIONS,),
        columns=_COLUMNS,
        profiles=profiles(epochs=120, free=("attack.iterations",)),
        fixed={**RESNET, **INFOFEATURE},
        checkpoint="best",
    ),
)
