"""The templates that `advsweep new-study` writes: a small study mine/beta, in Python and in TOML."""

PYTHON = '''"""A user-defined study: `advsweep plan mine/beta --study-file THIS_FILE --profile demo`.

The papers' studies are written in the same way: see search_spaces/papers/cifs.
"""

from optuna.distributions import FloatDistribution

from search_spaces.baselines import VANILLA
from search_spaces.factor import scalar
from search_spaces.profiles import NATURAL, attacked, profiles
from search_spaces.study import Arm, Study

# A factor: a field of the trials (any that --set knows), its levels, which become rows, and the range for a search. For levels
# that set several fields see search_spaces.factor.choice. Several factors make a row for each combination.
BETA = scalar(
    "beta",
    "β",  # as the table prints it
    "module.beta",
    levels=(0.1, 1.0, 10.0),
    default=1.0,
    distribution=FloatDistribution(0.1, 100, log=True),
)

# Or STUDIES = (...), several in one file.
STUDY = Study(
    name="mine/beta",
    aliases=(),  # further names: ("weight",) is mine/weight
    title="Weight of the probes' loss in CIFS",
    reference="own study",
    factors=(BETA,),
    # Natural accuracy, and accuracy under attacks with every beta_atk of the profile.
    columns=(NATURAL, *attacked("FGSM", "PGD-20", beta_atk=None)),
    # Adversarial training of a ResNet-18 on CIFAR-10 (paper), in 30 epochs (short), and on handwritten digits (demo). The last
    # two fix the network and the schedule; a field that is to vary in them must be free: profiles(100, free=("training.lr",)).
    profiles=profiles(epochs=100, eps=8 / 255),
    # Fields of every row, which replace those of the profile.
    fixed={"module.name": "cifs", "module.positions": ("P2", "P1"), "module.probes": ("mlp", "linear")},
    # Rows in addition to the levels, with a label for each factor: here, the network without the module.
    baselines=(Arm(("Vanilla",), VANILLA),),
    checkpoint="last",  # or best, or both
)
'''

TOML = """\
# A user-defined study: advsweep plan mine/beta --study-file THIS_FILE --profile demo

name = "mine/beta"
aliases = []                            # further names: ["weight"] is mine/weight
title = "Weight of the probes' loss in CIFS"
reference = "own study"
# Natural, FGSM, PGD-20, PGD-100, C&W, CW∞, or an attack as --attack takes it: "pgd(iterations=50, restarts=5)", "autoattack".
columns = ["Natural", "FGSM", "PGD-20"]
checkpoint = "last"                     # or best, or both
# seeds = 5                             # by default the profile's number

# Adversarial training of a ResNet-18 on CIFAR-10 (paper), in 30 epochs (short), and on handwritten digits (demo). The last
# two fix the network and the schedule; a field that is to vary in them must be free.
[profiles]
epochs = 100
eps = "8/255"
# free = ["training.lr"]
# demo.training.lr = 0.1                # a field that the demo fixes in addition

# Fields of every row, which replace those of the profile: any that --set knows. "eps/4" is a quarter of the profile's eps, and
# "null" is no value (attack = "null" trains without an attack).
[fixed]
module.name = "cifs"
module.positions = ["P2", "P1"]
module.probes = ["mlp", "linear"]

# A factor, whose levels become rows. Several factors make a row for each combination.
[[factors]]
name = "beta"
symbol = "β"                            # as the table prints it
field = "module.beta"
levels = [0.1, 1.0, 10.0]
default = 1.0
search = { low = 0.1, high = 100.0, log = true }

# A factor of several fields has levels with a label and settings, in place of a field:
# [[factors]]
# name = "imgf"
# symbol = "IMGF"
# default = "softmax"
# levels = [
#   { label = "softmax", settings = { module.imgf.name = "softmax", module.imgf.T = 1.0 } },
#   { label = "sigmoid", settings = { module.imgf.name = "sigmoid", module.imgf.alpha = 10.0 } },
# ]

# Rows in addition to the levels, with a label for each factor: here, the network without the module.
[[baselines]]
labels = ["Vanilla"]
settings.module.name = "none"
"""
