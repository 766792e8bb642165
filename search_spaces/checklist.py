"""What the checklist of obfuscated gradients looks at (see ``analysis.checks``), beside a study's own attacks."""

from search_spaces.column import Column
from search_spaces.profiles import pgd
from search_spaces.settings import Eps, Settings
from search_spaces.study import Picture

#: Far enough for any classifier to be wrong: with half of the range every image can be grey.
_UNBOUNDED: Settings = {"name": "pgd", "eps": 1.0, "step": 0.05, "iterations": 100}

CHECKLIST = (
    Column("FGSM", {"name": "fgsm", "eps": Eps()}, beta_atk=None),
    Column("PGD-20", pgd(20, step=Eps(1 / 10)), beta_atk=None),
    Column("PGD-100", pgd(100, step=Eps(1 / 10)), beta_atk=None),
    # With one start and small steps PGD leaves points to AutoAttack on an honest network too, where the images are small.
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

#: On every row but the study's first, which it comes from (at the same seed).
TRANSFERRED: Settings = pgd(20, step=Eps(1 / 10))

MEASURES = (Picture("soundness", {"name": "soundness"}),)
