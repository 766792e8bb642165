"""What `advsweep new-study` writes: one small study, in Python and in TOML, under the name mine/beta."""

PYTHON = '''"""A study of one's own: `advsweep plan mine/beta --study-file THIS_FILE --profile demo`.

The papers' studies are written in the same words: search_spaces/cifs is a good model.
"""

from optuna.distributions import FloatDistribution

from search_spaces.baselines import VANILLA
from search_spaces.factor import scalar
from search_spaces.profiles import NATURAL, attacked, profiles
from search_spaces.study import Arm, Study

# What varies: a field of the trials (any that --set knows), the levels that become rows, the range for a search. Levels of
# several fields at once: search_spaces.factor.choice. Several factors: a row for each combination.
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
    reference="one's own",
    factors=(BETA,),
    # What is shown: natural accuracy, and under attacks, which aim at the inserted modules in every way that the profile tries.
    columns=(NATURAL, *attacked("FGSM", "PGD-20", beta_atk=None)),
    # Adversarial training of a ResNet-18 on CIFAR-10 (paper), in 30 epochs (short), and on handwritten digits (demo). The last
    # two fix the network and the schedule; a field that is to vary in them must be free: profiles(100, free=("training.lr",)).
    profiles=profiles(epochs=100, eps=8 / 255),
    # What every row has, over the profile's settings.
    fixed={"module.name": "cifs", "module.positions": ("P2", "P1"), "module.probes": ("mlp", "linear")},
    # Rows beside the levels, with a label for each factor: here, without the module.
    baselines=(Arm(("Vanilla",), VANILLA),),
    checkpoint="last",  # or best, or both
)
'''

TOML = """\
# A study of one's own: advsweep plan mine/beta --study-file THIS_FILE --profile demo

name = "mine/beta"
aliases = []                            # further names: ["weight"] is mine/weight
title = "Weight of the probes' loss in CIFS"
reference = "one's own"
# Natural, FGSM, PGD-20, PGD-100, C&W, CW∞, or what --attack knows: "pgd(iterations=50, restarts=5)", "autoattack".
columns = ["Natural", "FGSM", "PGD-20"]
checkpoint = "last"                     # or best, or both
# seeds = 5                             # the profile's own number by default

# Adversarial training of a ResNet-18 on CIFAR-10 (paper), in 30 epochs (short), and on handwritten digits (demo). The last
# two fix the network and the schedule; a field that is to vary in them must be free.
[profiles]
epochs = 100
eps = "8/255"
# free = ["training.lr"]
# demo.training.lr = 0.1                # what the demo fixes besides

# What every row has, over the profile's settings: any field that --set knows. "eps/4" is a fourth of the profile's eps, and
# "null" is nothing (attack = "null", for a training without attack).
[fixed]
module.name = "cifs"
module.positions = ["P2", "P1"]
module.probes = ["mlp", "linear"]

# What varies: the levels become rows. Several factors: a row for each combination.
[[factors]]
name = "beta"
symbol = "β"                            # as the table prints it
field = "module.beta"
levels = [0.1, 1.0, 10.0]
default = 1.0
search = { low = 0.1, high = 100.0, log = true }

# A factor of several fields has no field of its own, and levels with a label:
# [[factors]]
# name = "imgf"
# symbol = "IMGF"
# default = "softmax"
# levels = [
#   { label = "softmax", settings = { module.imgf.name = "softmax", module.imgf.T = 1.0 } },
#   { label = "sigmoid", settings = { module.imgf.name = "sigmoid", module.imgf.alpha = 10.0 } },
# ]

# Rows beside the levels, with a label for each factor: here, without the module.
[[baselines]]
labels = ["Vanilla"]
settings.module.name = "none"
"""
