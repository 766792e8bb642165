"""Channel-wise Activation Suppressing (Bai et al., ICLR 2021): its search space and its ablations.

The paper prints Table 3 as numbers and Figure 8 as a picture, so that only the former has reference numbers.
"""

from optuna.distributions import FloatDistribution

from search_spaces.factor import Level, Settings, choice, scalar
from search_spaces.profiles import NATURAL, attacked, profiles
from search_spaces.study import Arm, Study

#: AT+CAS on ResNet-18, section 5.1. The paper gives beta for its other networks only, where it is the
#: number of modules (WRN 2, VGG 3); each of Block4's two residual blocks has one in the public code.
CAS: Settings = {"module.name": "cas", "module.positions": ("block4",), "module.beta": 2.0, "module.suppression": True}

BETA = scalar(
    "beta",
    "β",
    "module.beta",
    levels=(0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
    default=2.0,
    distribution=FloatDistribution(0.1, 100, log=True),
)
BLOCK = choice(
    "block",
    "Block",
    levels=(
        Level("Block2", {"module.positions": ("block2",)}),
        Level("Block3", {"module.positions": ("block3",)}),
        Level("Block4", {"module.positions": ("block4",)}),
        Level("Block3+4", {"module.positions": ("block3", "block4")}),
    ),
    default="Block4",
)
SUPPRESSION = choice(
    "suppression",
    "CS",
    levels=(
        Level("without suppressing", {"module.suppression": False}),
        Level("with suppressing", {"module.suppression": True}),
    ),
    default="with suppressing",
)
SPACE = (BETA, BLOCK, SUPPRESSION)

_PROFILES = profiles(epochs=200)
# "Adaptive" in this paper: the attacker maximises the loss that the weights minimised, at the same beta.
_COLUMNS = (NATURAL, *attacked("FGSM", "PGD-20", "CW∞", beta_atk=("own",)))

STUDIES = (
    Study(
        name="cas/table-3",
        aliases=("blocks",),
        reference="Bai et al., ICLR 2021, Table 3",
        title="CAS after different blocks of ResNet-18",
        factors=(BLOCK,),
        columns=_COLUMNS,
        profiles=_PROFILES,
        fixed=CAS,
    ),
    Study(
        name="cas/figure-8",
        aliases=("beta",),
        reference="Bai et al., ICLR 2021, Figure 8",
        title="Weight of the CAS loss",
        factors=(BETA,),
        columns=_COLUMNS,
        profiles=_PROFILES,
        fixed=CAS,
        # Appendix D: plain adversarial training. CAS with beta = 0 would still suppress.
        baselines=(Arm(("β = 0",), {"module.name": "none"}),),
    ),
)
