"""Feature Separation and Recalibration (Kim et al., CVPR 2023): its search space and the ablations of its supplement."""

from optuna.distributions import FloatDistribution

from search_spaces.baselines import OBJECTIVE, VANILLA
from search_spaces.column import AnyColumn, Column, Ensemble
from search_spaces.factor import Factor, Level, choice, scalar
from search_spaces.ladders import over_eps, over_iterations
from search_spaces.profiles import ATTACKS, NATURAL, attacked, pgd, profiles
from search_spaces.settings import Eps, Settings
from search_spaces.study import Arm, Study

#: The paper's own choice, at the end of the network: of ResNet-18 and WRN-34-10 in the public code.
FSR: Settings = {
    "module.name": "fsr",
    "module.positions": ("P1",),
    "module.tau": 0.1,
    "module.lambda_sep": 1.0,
    "module.lambda_rec": 1.0,
    "module.separation_loss": "mispredicted",
    "module.mask": "gumbel",
    "module.separation": "learned",
}
#: From the public code, as are 100 epochs, the learning rate and its drops, which are the profiles' own: the supplement is
#: silent about training. So every objective, network and data set has the one recipe.
RECIPE: Settings = {"training.weight_decay": 5e-4}

BLOCK = choice(
    "block",
    "Block",
    levels=(
        *(Level(f"Block{b}", {"module.positions": (f"block{b}.last",)}) for b in (1, 2, 3, 4)),
        Level("Block3+4", {"module.positions": ("block3.last", "block4.last")}),
    ),
    default="Block4",
)
# Figure S1 is a picture whose axes cannot be read in the text, so the levels are ours: what the supplement calls best, and
# lower and higher values.
TAU = scalar(
    "tau",
    "τ",
    "module.tau",
    levels=(0.01, 0.05, 0.1, 0.5, 1.0),
    default=0.1,
    distribution=FloatDistribution(0.001, 10, log=True),
)


def _weight(name: str, symbol: str) -> Factor:
    """The weight of one of the module's losses."""
    return scalar(
        name,
        symbol,
        f"module.{name}",
        levels=(0.1, 0.5, 1.0, 2.0, 5.0),
        default=1.0,
        distribution=FloatDistribution(0.01, 100, log=True),
    )


LAMBDA_SEP = _weight("lambda_sep", "λ_sep")
LAMBDA_REC = _weight("lambda_rec", "λ_rec")
SEPARATION = choice(
    "separation",
    "L_sep",
    levels=(
        Level("Uniform", {"module.separation_loss": "uniform"}),
        Level("Entropy max.", {"module.separation_loss": "entropy-max"}),
        Level("Avg. targeted loss", {"module.separation_loss": "average-targeted"}),
        Level("Mispredicted", {"module.separation_loss": "mispredicted"}),
    ),
    default="Mispredicted",
)
MASK = choice(
    "mask",
    "m",
    levels=(Level("Binary", {"module.mask": "binary"}), Level("Gumbel", {"module.mask": "gumbel"})),
    default="Gumbel",
)
STRATEGY = choice(
    "strategy",
    "Separation",
    levels=(
        Level("Greedy", {"module.separation": "greedy"}),
        Level("Random", {"module.separation": "random"}),
        Level("w/o Separation", {"module.separation": "none"}),
        Level("w/ Separation", {"module.separation": "learned"}),
    ),
    default="w/ Separation",
)
SPACE = (BLOCK, TAU, LAMBDA_SEP, LAMBDA_REC, SEPARATION, MASK, STRATEGY)

MODULE = choice("module", "module", levels=(Level("Vanilla", VANILLA), Level("FSR", FSR)), default="FSR")

# At the demo's rate its loss diverges.
PROFILES = profiles(epochs=100, demo={"training.lr": 0.1})
# The supplement gives no steps for its attacks: they are those of CIFS, with which the public code shares C&W's confidence. It
# attacks the final prediction alone, which for this module is its "own" loss.
_WHITE_BOX = ("FGSM", "PGD-20", "PGD-100", "C&W")
_ATTACKED: tuple[AnyColumn, ...] = (*attacked(*_WHITE_BOX, beta_atk=("own",)), Ensemble("Ensemble", _WHITE_BOX))
_COLUMNS = (NATURAL, *_ATTACKED)


def _elsewhere(table: int, alias: str, where: str, settings: Settings) -> Study:
    """Every objective with and without FSR, on another data set or network than the main paper's."""
    return Study(
        name=f"fsr/table-s{table}",
        aliases=(alias,),
        reference=f"Kim et al., CVPR 2023, Table S{table}",
        title=f"AT, TRADES and MART with and without FSR: {where}",
        factors=(OBJECTIVE, MODULE),
        columns=_COLUMNS,
        profiles=PROFILES,
        fixed={**RECIPE, **settings},
    )


def _choice(
    place: str,
    alias: str,
    title: str,
    factor: Factor,
    columns: tuple[AnyColumn, ...] = _COLUMNS,
    baselines: tuple[Arm, ...] = (),
) -> Study:
    """One choice in FSR at a time: ResNet-18, CIFAR-10, adversarial training (supplement, section 2)."""
    kind, number = place.split("-")
    return Study(
        name=f"fsr/{place}",
        aliases=(alias,),
        reference=f"Kim et al., CVPR 2023, {kind.title()} {number.capitalize()}",
        title=title,
        factors=(factor,),
        columns=columns,
        profiles=PROFILES,
        fixed={**RECIPE, **FSR},
        baselines=baselines,
    )


def _obfuscation(part: str, alias: str, title: str, columns: tuple[AnyColumn, ...]) -> Study:
    """What gives obfuscated gradients away (supplement, section 3), with FSR and without."""
    return Study(
        name=f"fsr/figure-s2{part}",
        aliases=(alias,),
        reference=f"Kim et al., CVPR 2023, Figure S2{part}",
        title=title,
        factors=(MODULE,),
        columns=columns,
        profiles=PROFILES,
        fixed=RECIPE,
    )


STUDIES = (
    _elsewhere(1, "cifar100", "CIFAR-100", {"data.dataset": "cifar100"}),
    # How the larger images are cropped is not said: by the same padding.
    _elsewhere(2, "tiny-imagenet", "Tiny ImageNet", {"data.dataset": "tiny-imagenet"}),
    _elsewhere(3, "wide-resnet", "WRN-34-10", {"model.name": "wrn-34", "model.width": 160}),
    _choice("table-s4", "blocks", "FSR after different blocks of ResNet-18", BLOCK),
    _choice(
        "table-s5",
        "separation-loss",
        "What the non-robust features are trained for",
        SEPARATION,
        baselines=(Arm(("AT",), VANILLA),),
    ),
    _choice(
        "table-s6",
        "mask",
        "A binary mask, or a soft one by Gumbel softmax",
        MASK,
        columns=(*_ATTACKED, Column("AutoAttack", {"name": "autoattack", "eps": Eps()})),
    ),
    _choice("table-s7", "strategy", "What takes the place of the separation net", STRATEGY, columns=_ATTACKED),
    _choice("figure-s1a", "tau", "Temperature of the mask", TAU),
    _choice("figure-s1b", "lambda-sep", "Weight of the separation loss", LAMBDA_SEP),
    _choice("figure-s1c", "lambda-rec", "Weight of the recalibration loss", LAMBDA_REC),
    # The axes of Figure S2 cannot be read in the text either.
    _obfuscation(
        "a",
        "iterations",
        "PGD of more and more iterations",
        over_iterations("PGD", ATTACKS["PGD-100"], (1, 2, 5, 10, 20, 50, 100)),
    ),
    _obfuscation(
        "b",
        "eps",
        "PGD within larger and larger perturbations",
        (
            NATURAL,
            *over_eps(pgd(20, step=Eps(1 / 10)), (1 / 4, 1 / 2, 1, 2, 4, 8), step=1 / 10),
            # Any image from any other: every classifier must be at 0 %.
            Column("unbounded", {"name": "pgd", "eps": 1.0, "step": 0.05, "iterations": 100}),
        ),
    ),
)
