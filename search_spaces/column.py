"""What a column of a table shows. Pure data."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from search_spaces.settings import Eps, Settings

#: The weights of the modules in the attacker's joint loss that the CIFS paper tries (Table B.3), for two modules.
BETA_ATK = ("0", "0.1", "1", "2", "10", "100", "inf", "inf-1", "inf-2")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a study shows of its rows: in every profile and row, unless it says in which.

    ``profiles``: names of profiles. ``rows``: labels, of which a row must have one. So columns with one label may show one
    thing at the eps of different data sets; a row has one of them at most.
    """

    profiles: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    def is_in(self, profile: str, labels: Collection[str]) -> bool:
        """Whether the row with these labels shows it in a profile."""
        in_profile = not self.profiles or profile in self.profiles
        return in_profile and (not self.rows or not set(self.rows).isdisjoint(labels))


@dataclass(frozen=True)
class Column(Shown):
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

    @property
    def adversarial(self) -> bool:
        """Whether the images are attacked at all."""
        return self.attack["name"] != "natural"

    @property
    def complete(self) -> bool:
        """Whether it needs every example attacked to the end, also when its final prediction is wrong."""
        return self.head != "final" or self.top_k > 1


@dataclass(frozen=True)
class Ensemble(Shown):
    """Accuracy where each example is under the worst of several columns' attacks, by their labels ``of``."""

    label: str
    of: tuple[str, ...]


@dataclass(frozen=True)
class Area(Shown):
    """Normalised area under accuracy against eps: at most 1 (AFD, Table 2).

    ``attack``: as a column's, but ``Eps`` are multiples of where it stands on the ``grid``: what eps is, rising, as a number or
    as a multiple of the profile's. Natural accuracy stands at 0. An attack for the smallest change (``smallest``) tells
    accuracy at every eps at once, and runs at the last one alone.
    """

    label: str
    attack: Settings
    grid: tuple[float | Eps, ...]
    smallest: bool = False


@dataclass(frozen=True)
class Measured(Shown):
    """One ``array`` of a measure as a number, ``times`` a factor. ``measure``: its fields, ``name`` included.

    ``statistic``: of those of its values that are numbers.
    """

    label: str
    measure: Settings
    array: str
    times: float = 1.0
    statistic: Literal["mean", "median"] = "mean"


@dataclass(frozen=True)
class Cost(Shown):
    """Seconds, as they were recorded: of an epoch's training (``attack`` None), or of the evaluation under an attack."""

    label: str
    attack: Settings | None = None

    @property
    def complete(self) -> bool:
        """An incomplete evaluation has the seconds of whatever run answered it, which may be that of a longer attack."""
        return True


AnyColumn = Column | Ensemble | Area | Measured | Cost
