"""Attacks and measures that ``advsweep check`` runs, in addition to a study's own, for the checklist in ``analysis.checks``."""

from search_spaces.column import Column
from search_spaces.profiles import pgd
from search_spaces.settings import Eps, Settings
from search_spaces.study import Panel

#: An eps at which any classifier must fail: from half of the range on, every image can become the same grey.
_UNBOUNDED: Settings = {"name": "pgd", "eps": 1.0, "step": 0.05, "iterations": 100}

CHECKLIST = (
    Column("FGSM", {"name": "fgsm", "eps": Eps()}, beta_atk=None),
    Column("PGD-20", pgd(20, step=Eps(1 / 10)), beta_atk=None),
    # With PGD-20's step it would be read out of the same run, and could not fail to be stronger.
    Column("PGD-100", pgd(100, step=Eps(1 / 40)), beta_atk=None),
    # On small images PGD from one start with small steps is points behind AutoAttack on a network without a mask too.
    Column("PGD-20 from 10 starts", {**pgd(20, step=Eps(1 / 4)), "restarts": 10}),
    Column("PGD-20 at half of eps", {**pgd(20, step=Eps(1 / 20)), "eps": Eps(1 / 2)}),
    Column("PGD-20 at twice eps", {**pgd(20, step=Eps(1 / 5)), "eps": Eps(2)}),
    Column("PGD-20 at eps again", pgd(20, step=Eps(1 / 10))),
    Column("unbounded PGD", _UNBOUNDED),
    Column("PGD-20 through soft modules", {**pgd(20, step=Eps(1 / 10)), "view": "soft"}),
    Column("PGD-20 in training mode", {**pgd(20, step=Eps(1 / 10)), "view": "train"}),
    Column("noise", {"name": "noise", "eps": Eps(), "restarts": 10}),
    Column("Square", {"name": "square", "eps": Eps(), "queries": 1000}),
    Column("AutoAttack", {"name": "autoattack", "eps": Eps()}),
)

#: The attack that is transferred from the study's first row to every other row, at the same seed.
TRANSFERRED: Settings = pgd(20, step=Eps(1 / 10))

MEASURES = (Panel("soundness", {"name": "soundness"}),)
