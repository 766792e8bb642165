"""CAS's settings and factors, and the profiles that its studies share."""

from collections.abc import Mapping
from types import MappingProxyType

from optuna.distributions import FloatDistribution

from search_spaces.baselines import AT, STANDARD, VANILLA, with_and_without
from search_spaces.factor import Factor, Level, choice, levels_of, scalar
from search_spaces.papers.paper import Paper
from search_spaces.profiles import ATTACKS, NATURAL, attacked, pgd, profiles
from search_spaces.settings import Eps, Settings

#: AT+CAS on ResNet-18, section 5.1. The paper gives beta for its other networks only, where it is the
#: number of modules (WRN 2, VGG 3); each of Block4's two residual blocks has one in the public code.
CAS: Settings = {"module.name": "cas", "module.positions": ("block4",), "module.beta": 2.0, "module.suppression": True}

#: Section 5.2. The augmentation is that of CIFAR-10: the paper names no other.
SVHN: Settings = {
    "data.dataset": "svhn",
    "training.lr": 0.01,
    "training.weight_decay": 5e-4,
    "attack.step": Eps(1 / 8),
}
#: Appendix F.1.
WRN_34_10: Settings = {"model.name": "wrn-34", "model.width": 160, "training.weight_decay": 5e-4}
#: Appendix F.2. The public code's has batch normalisation; at ResNet-18's learning rate it would not learn without.
VGG16: Settings = {"model.name": "vgg-16-bn-all"}

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
    levels_of(
        "module.positions",
        {"Block2": ("block2",), "Block3": ("block3",), "Block4": ("block4",), "Block3+4": ("block3", "block4")},
    ),
    default="Block4",
)
SUPPRESSION = choice(
    "suppression",
    "CS",
    levels_of("module.suppression", {"without suppressing": False, "with suppressing": True}),
    default="with suppressing",
)
DATASET = choice(
    "dataset",
    "dataset",
    levels=(Level("SVHN", SVHN), Level("CIFAR-10", {"data.dataset": "cifar10"})),
    default="CIFAR-10",
)
SPACE = (BLOCK, BETA, SUPPRESSION)


def module(cas: Settings = CAS) -> Factor:
    """A network as it is, and with ``cas``."""
    # Its public code of TRADES passes the natural images once, that of TRADES itself twice.
    return with_and_without("CAS", cas, {"TRADES": {"objective.clean_passes": 1}})


#: Natural ("standard") and adversarial training.
TRAINING = choice("objective", "training", levels=(Level("STD", STANDARD), Level("ADV", AT)), default="ADV")
#: Figure 2.
DEFENSE = choice(
    "defense",
    "defense",
    levels=(Level("STD", {**VANILLA, **STANDARD}), Level("ADV", {**VANILLA, **AT}), Level("CAS", {**CAS, **AT})),
    default="CAS",
)
#: Section 5.1.
ACTIVATION_DEFENSES = choice(
    "defense",
    "defense",
    levels=(
        Level("kWTA", {"module.name": "kwta", "module.ratio": 0.2, "module.sites": "activations"}),
        Level("SAP", {"module.name": "sap", "module.sites": "activations"}),
        # The section trains adversarially. Of PCL it says cross-entropy first, then PCL, which is its authors' training on
        # natural images; the accuracies that are printed, 88.15 and 24.68 under PGD-20, are those of such a network.
        Level("PCL", {"objective.name": "pcl", "attack": None}),
        Level("CAS", CAS),
    ),
    default="CAS",
)

# Beta multiplies the loss: with Figure 8's largest, 20, it diverges at 0.05.
# PCL learns at a tenth of its weight.
# The public code chooses the best epoch by the training's own attack, from the image itself.
_SELECTION: Settings = {"selection.attack.iterations": 10, "selection.attack.step": Eps(1 / 4)}
PROFILES = profiles(epochs=200, recipe=_SELECTION, demo={"training.lr": 0.02, "objective.weight": 0.1})
PAPER = Paper("cas", "Bai et al., ICLR 2021", PROFILES)
#: In its public evaluation FGSM is one step from a random start.
ATTACKED: Mapping[str, Settings] = MappingProxyType({**ATTACKS, "FGSM": pgd(1, step=Eps())})
#: "Adaptive" in this paper: the attacker maximises the loss that the weights minimised, at the same beta.
COLUMNS = (NATURAL, *attacked("FGSM", "PGD-20", "CW∞", beta_atk=("own",), attacks=ATTACKED))
