"""Columns of a table: accuracies, ensembles, areas, measures and costs. Pure data."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from search_spaces.settings import Eps, Settings

#: The weights of two inserted modules in the attacker's joint loss that the CIFS paper tries (Table B.3).
BETA_ATK = ("0", "0.1", "1", "2", "10", "100", "inf", "inf-1", "inf-2")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Something that a study shows of its rows, perhaps only in some profiles and rows.

    ``profiles``: the profiles in which it is shown; empty for all. ``rows``: labels, of which a row must have one; empty for
    all rows. Columns of one label may apply to different rows, such as those of different data sets, each with its own eps; at
    most one of them may apply to a row.
    """

    profiles: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    def is_in(self, profile: str, labels: Collection[str]) -> bool:
        """Whether it is shown in a profile for the row with these labels."""
        in_profile = not self.profiles or profile in self.profiles
        return in_profile and (not self.rows or not set(self.rows).isdisjoint(labels))


@dataclass(frozen=True)
class Column(Shown):
    """Accuracy under an attack on the test set.

    ``attack``: fields of the attack, its ``name`` included. ``beta_atk``: the joint losses that the attacker tries; None for
    the profile's list. ``head``: whose prediction counts: ``final``, or ``1``, ``2``, ... for an inserted module's. ``top_k``:
    an example is right if its class is among the k with the highest scores. ``only``: the class whose examples count; None
    for all.
    """

    label: str
    attack: Settings
    beta_atk: tuple[str, ...] | None = ("own",)
    head: str = "final"
    top_k: int = 1
    only: int | None = None

    @property
    def adversarial(self) -> bool:
        """Whether the images are attacked, and not natural."""
        return self.attack["name"] != "natural"

    @property
    def complete(self) -> bool:
        """Whether every example must be attacked to the end, also after its final prediction is wrong."""
        return self.head != "final" or self.top_k > 1


@dataclass(frozen=True)
class Ensemble(Shown):
    """Accuracy with each example under the worst of the attacks of several columns. ``of``: the labels of these columns."""

    label: str
    of: tuple[str, ...]


@dataclass(frozen=True)
class Area(Shown):
    """Normalised area under accuracy as a function of eps: at most 1 (AFD, Table 2).

    ``grid``: the values of eps, rising, as numbers or as multiples of the profile's; natural accuracy is added at 0.
    ``attack``: as a column's, but that an ``Eps`` in it is a multiple of the grid's eps. ``smallest``: whether the attack is
    minimal-norm, so that one evaluation, at the last eps, gives accuracy at every eps.
    """

    label: str
    attack: Settings
    grid: tuple[float | Eps, ...]
    smallest: bool = False


@dataclass(frozen=True)
class Measured(Shown):
    """One array of a measure, reduced to a number.

    ``measure``: fields of the measure, its ``name`` included. ``array``: the array's name. ``statistic``: of the values that
    are not NaN. ``times``: a factor on it.
    """

    label: str
    measure: Settings
    array: str
    times: float = 1.0
    statistic: Literal["mean", "median"] = "mean"


@dataclass(frozen=True)
class Cost(Shown):
    """Recorded seconds of a training epoch (``attack`` None), or of the evaluation under an attack."""

    label: str
    attack: Settings | None = None

    @property
    def complete(self) -> bool:
        """Always true: an incomplete evaluation may have the seconds of a longer attack whose run answered it too."""
        return True


AnyColumn = Column | Ensemble | Area | Measured | Cost
