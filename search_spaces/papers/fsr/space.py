"""The method, its factors, and what its studies share."""

from optuna.distributions import FloatDistribution

from search_spaces.baselines import with_and_without
from search_spaces.column import AnyColumn, Ensemble
from search_spaces.factor import Factor, Level, choice, levels_of, scalar
from search_spaces.papers.paper import Paper
from search_spaces.profiles import FROM_IMAGES, NATURAL, attacked, profiles
from search_spaces.settings import Settings
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
STRATEGY = choice(
    "strategy",
    "Separation",
    levels_of(
        "module.separation",
        {"Greedy": "greedy", "Random": "random", "w/o Separation": "none", "w/ Separation": "learned"},
    ),
    default="w/ Separation",
)
MASK = choice("mask", "m", levels_of("module.mask", {"Binary": "binary", "Gumbel": "gumbel"}), default="Gumbel").where(
    strategy=("w/ Separation",)
)
#: What has a loss of separation.
_PARTED = ("Greedy", "Random", "w/ Separation")
# Figure S1 is a picture whose axes cannot be read in the text, so the levels are ours: what the supplement calls best, and
# lower and higher values.
TAU = scalar(
    "tau",
    "τ",
    "module.tau",
    levels=(0.01, 0.05, 0.1, 0.5, 1.0),
    default=0.1,
    distribution=FloatDistribution(0.001, 10, log=True),
).where(strategy=("w/ Separation",), mask=("Gumbel",))


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


LAMBDA_SEP = _weight("lambda_sep", "λ_sep").where(strategy=_PARTED)
LAMBDA_REC = _weight("lambda_rec", "λ_rec")
SEPARATION = choice(
    "separation",
    "L_sep",
    levels_of(
        "module.separation_loss",
        {
            "Uniform": "uniform",
            "Entropy max.": "entropy-max",
            "Avg. targeted loss": "average-targeted",
            "Mispredicted": "mispredicted",
        },
    ),
    default="Mispredicted",
).where(strategy=_PARTED)
SPACE = (BLOCK, TAU, LAMBDA_SEP, LAMBDA_REC, SEPARATION, MASK, STRATEGY)

MODULE = with_and_without("FSR", FSR)

# At higher rates its loss may diverge.
PROFILES = profiles(epochs=100, demo={"training.lr": 0.1})
PAPER = Paper("fsr", "Kim et al., CVPR 2023", PROFILES)

# The supplement gives no steps for its attacks: they are those of CIFS, with which the public code shares C&W's confidence. It
# attacks the final prediction alone, which for this module is its "own" loss.
_WHITE_BOX = ("FGSM", "PGD-20", "PGD-100", "C&W")
ATTACKED: tuple[AnyColumn, ...] = (
    *attacked(*_WHITE_BOX, beta_atk=("own",), attacks=FROM_IMAGES),
    Ensemble("Ensemble", _WHITE_BOX),
)
COLUMNS = (NATURAL, *ATTACKED)


def choice_in_fsr(
    where: str,
    alias: str,
    title: str,
    factor: Factor,
    columns: tuple[AnyColumn, ...] = COLUMNS,
    baselines: tuple[Arm, ...] = (),
) -> Study:
    """One choice in FSR at a time: ResNet-18, CIFAR-10, adversarial training (supplement, section 2)."""
    return PAPER.study(where, alias, title, factor, columns=columns, fixed={**RECIPE, **FSR}, baselines=baselines)
