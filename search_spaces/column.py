"""What a column of a table shows. Pure data.

Every kind has ``where``: labels of a row, or names of profiles, of which one must be there; a column is in all rows by default.
So columns with one label may show one thing at the eps of different data sets; a row has one of them at most.
"""

from dataclasses import dataclass
from typing import Literal

from search_spaces.factor import Eps, Settings

#: The weights of the modules in the attacker's joint loss that the CIFS paper tries (Table B.3), for two modules.
BETA_ATK = ("0", "0.1", "1", "2", "10", "100", "inf", "inf-1", "inf-2")


@dataclass(frozen=True)
class Source:
    """The network that a transferred attack is made on: in place of the attack's ``source``, which is a trial's key.

    ``settings``: fields over the profile's, on the row's own data set. It is one training for every seed of the row, from a
    seed that no row has.
    """

    settings: Settings


@dataclass(frozen=True)
class Column:
    """Accuracy under an attack on the test set.

    ``attack``: fields of the attack, its ``name`` included. ``beta_atk``: the joint losses that the attacker tries; None for
    the profile's list. ``head``: whose prediction counts: ``final``, or ``1``, ``2``, ... for an inserted module's. ``top_k``:
    how many of the classes with the highest scores the true one may be among. ``only``: the class whose examples count; all
    by default.
    """

    label: str
    attack: Settings
    beta_atk: tuple[str, ...] | None = ("own",)
    head: str = "final"
    top_k: int = 1
    only: int | None = None
    where: tuple[str, ...] = ()

    @property
    def adversarial(self) -> bool:
        """Whether the images are attacked at all."""
        return self.attack["name"] != "natural"

    @property
    def complete(self) -> bool:
        """Whether it needs every example attacked to the end, also when its final prediction is wrong."""
        return self.head != "final" or self.top_k > 1


@dataclass(frozen=True)
class Ensemble:
    """Accuracy where each example is under the worst of several columns' attacks, by their labels ``of``."""

    label: str
    of: tuple[str, ...]
    where: tuple[str, ...] = ()


@dataclass(frozen=True)
class Area:
    """Normalised area under accuracy against eps: at most 1 (AFD, Table 2).

    ``attack``: as a column's, but ``Eps`` are multiples of where it stands on the ``grid``: what eps is, rising, as a number or
    as a multiple of the profile's. Natural accuracy stands at 0. An attack for the smallest change (``smallest``) tells
    accuracy at every eps at once, and runs at the last one alone.
    """

    label: str
    attack: Settings
    grid: tuple[float | Eps, ...]
    smallest: bool = False
    where: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One ``array`` of a measure as a number, ``times`` a factor. ``measure``: its fields, ``name`` included.

    ``statistic``: of those of its values that are numbers.
    """

    label: str
    measure: Settings
    array: str
    times: float = 1.0
    statistic: Literal["mean", "median"] = "mean"
    where: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """Seconds, as they were recorded: of an epoch's training (``attack`` None), or of the evaluation under an attack."""

    label: str
    attack: Settings | None = None
    where: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """An incomplete evaluation has the seconds of whatever run answered it, which may be that of a longer attack."""
        return True


AnyColumn = Column | Ensemble | Area | Measured | Cost
