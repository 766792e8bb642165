"""No attack."""

from torch import Tensor

from trainables import config
from trainables.attacks.case import Case


def attack(spec: config.Natural, case: Case) -> Tensor:
    """The images as they are."""
    return case.x
