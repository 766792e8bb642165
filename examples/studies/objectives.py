"""Which objective gains most from CAS? Two factors, so a row for each combination.

advsweep run example/objectives --study-file examples/studies/objectives.py --profile demo
"""

from search_spaces.baselines import OBJECTIVE, VANILLA
from search_spaces.factor import Level, choice
from search_spaces.profiles import NATURAL, attacked, profiles
from search_spaces.study import Study

MODULE = choice(
    "module",
    "module",
    levels=(Level("none", VANILLA), Level("CAS", {"module.name": "cas", "module.positions": ("block4",)})),
    default="CAS",
)

STUDY = Study(
    name="example/objectives",
    aliases=(),
    title="CAS under three objectives",
    reference="an example",
    factors=(MODULE, OBJECTIVE),
    columns=(NATURAL, *attacked("FGSM", "PGD-20", beta_atk=None)),
    profiles=profiles(epochs=120, eps=8 / 255),
)
