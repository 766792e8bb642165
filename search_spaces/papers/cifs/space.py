"""CIFS's settings, those of CAS that it is compared with, its factors, and the profiles that its studies share."""

from optuna.distributions import FloatDistribution, IntDistribution

from search_spaces.baselines import AT, FAT, TRADES, VANILLA, with_and_without
from search_spaces.factor import Factor, Level, choice, levels_of, scalar
from search_spaces.papers.paper import Paper
from search_spaces.profiles import FROM_IMAGES, NATURAL, attacked, profiles
from search_spaces.settings import Eps, Settings
from search_spaces.study import Arm

#: The paper's own choice, section 4.1: the last two residual blocks, an MLP of one hidden layer and a linear probe, top-2,
#: softmax. The public code trains with the loss times 3 and counts the label twice where it is the second of the top two.
CIFS: Settings = {
    "module.name": "cifs",
    "module.positions": ("P2", "P1"),
    "module.probes": ("mlp-linear",),
    "module.depth": (1,),
    "module.hidden": 128,
    "module.top_k": 2,
    "module.imgf.name": "softmax",
    "module.imgf.T": 1.0,
    "module.beta": 2.0,
    "module.scale": 3.0,
    "module.training_top": "as-code",
}
#: CAS as CIFS compares with it. Table B.3 attacks two CAS modules; they are at the positions of CIFS's, on ResNet-18 CAS's
#: Block4.
CAS: Settings = {"module.name": "cas", "module.positions": ("P2", "P1"), "module.beta": 2.0}

#: Appendix C. Augmented as CIFAR-10 is (public code).
SVHN: Settings = {"data.dataset": "svhn", "training.lr": 0.01, "training.weight_decay": 5e-4}
#: Appendix D. Not augmented (public code).
FASHION_MNIST: Settings = {
    "data.dataset": "fashion-mnist",
    "data.crop": 0,
    "data.flip": False,
    "model.name": "resnet-10",
    "attack.iterations": 20,
    "attack.step": Eps(1 / 15),
    "training.schedule.milestones": (46, 76, 91),
}

BETA = scalar(
    "beta",
    "β",
    "module.beta",
    levels=(0.1, 1.0, 2.0, 10.0, 100.0),
    default=2.0,
    distribution=FloatDistribution(0.1, 100, log=True),
)
TOP_K = Factor(
    "top_k",
    "k",
    levels_of("module.top_k", {f"top-{k}": k for k in (1, 2, 3)}),
    default="top-2",
    distribution=IntDistribution(1, 5),
)
# Each with section 3.3's own constant.
IMGF = choice(
    "imgf",
    "IMGF",
    levels=(
        Level("sigmoid", {"module.imgf.name": "sigmoid", "module.imgf.alpha": 10.0}),
        Level("softplus", {"module.imgf.name": "softplus", "module.imgf.alpha": 5.0}),
        Level("softmax", {"module.imgf.name": "softmax", "module.imgf.T": 1.0}),
    ),
    default="softmax",
)
# Section 3.3 takes 10 for the sigmoid and 5 for the softplus; the softmax has T instead.
ALPHA = scalar(
    "alpha", "α", "module.imgf.alpha", levels=(5.0, 10.0), default=10.0, distribution=FloatDistribution(0.1, 100, log=True)
).where(imgf=("sigmoid", "softplus"))
T = scalar("T", "T", "module.imgf.T", levels=(1.0,), default=1.0, distribution=FloatDistribution(0.01, 100, log=True)).where(
    imgf=("softmax",)
)
# Where the modules are: the last block that has one, and how many blocks up to it do. Table E.2 has P1 and P2 with one layer,
# and P1 with two. Section 3.2 makes beta the number of layers; the table does not say whether it is 1 for a single one, and it
# stays 2 here.
POSITIONS = choice("positions", "P", levels_of("module.positions", {"P1": ("P1",), "P2": ("P2",)}), default="P1")
LAYERS = choice("layers", "|I|", levels_of("module.layers", {f"|I| = {n}": n for n in (1, 2, 3)}), default="|I| = 2")
# What the probes are: linear, MLPs, or both as section 4.1 has them. Table E.3 has the first two.
PROBES = choice(
    "probes",
    "A",
    levels_of("module.probes", {"Linear-Linear": ("linear",), "MLP-Linear": ("mlp-linear",), "MLP-MLP": ("mlp",)}),
    default="MLP-Linear",
)
# Hidden layers of the MLPs; a linear probe is one of none.
DEPTH = choice("depth", "depth", levels_of("module.depth", {f"{n} hidden": (n,) for n in (1, 2, 3)}), default="1 hidden").where(
    probes=("MLP-Linear", "MLP-MLP")
)
HIDDEN = scalar(
    "hidden", "width", "module.hidden", levels=(32, 128, 512), default=128, distribution=IntDistribution(8, 1024, log=True)
).where(probes=("MLP-Linear", "MLP-MLP"))
SPACE = (BETA, TOP_K, IMGF, ALPHA, T, POSITIONS, LAYERS, PROBES, DEPTH, HIDDEN)
#: What those of positions and layers start from: the same modules as :data:`CIFS`, named by the last.
SEARCHED: Settings = {**CIFS, "module.positions": ("P1",), "module.layers": 2}

NETWORK = choice(
    "network",
    "network",
    levels=(
        Level("ResNet-18", {"model.name": "resnet-18"}),
        # Appendix B.1.
        Level(
            "WRN-28-10",
            {"model.name": "wrn-28", "model.width": 160, "training.epochs": 110, "training.weight_decay": 5e-4},
        ),
    ),
    default="ResNet-18",
)
DEFENSE = choice(
    "defense", "defense", levels=(Level("Vanilla", VANILLA), Level("CAS", CAS), Level("CIFS", CIFS)), default="CIFS"
)
MODULE = with_and_without("CIFS", CIFS)
#: The strategies of Table B.4. The paper does not say how FAT's learning rate falls: it is that of FAT's public code.
OBJECTIVE = choice("objective", "objective", levels=(Level("AT", AT), Level("TRADES", TRADES), Level("FAT", FAT)), default="AT")

# The rate drops after epochs 75 and 90 (public code), where CAS's drops at them.
PROFILES = profiles(epochs=120, recipe={"training.schedule.milestones": (76, 91)})
PAPER = Paper("cifs", "Yan et al., ICML 2021", PROFILES)
VANILLA_ROW = (Arm(("Vanilla",), VANILLA),)
#: The attacker tries several weights of the modules in the joint loss, and the paper prints the worst (section 4.1).
COLUMNS = (NATURAL, *attacked("FGSM", "PGD-20", "C&W", "PGD-100", beta_atk=None, attacks=FROM_IMAGES))
#: Without C&W.
COLUMNS_IN_BRIEF = (NATURAL, *attacked("FGSM", "PGD-20", "PGD-100", beta_atk=None, attacks=FROM_IMAGES))
