"""A study: one table or figure of a paper as factors, columns and profiles. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from search_spaces.factor import Factor, Level, Settings
from search_spaces.printed import Number, printed

#: The weights of the modules in the attacker's joint loss that the CIFS paper tries (Table B.3), for two modules.
BETA_ATK = ("0", "0.1", "1", "2", "10", "100", "inf", "inf-1", "inf-2")


@dataclass(frozen=True)
class Column:
    """One column of a table: an attack on the test set, and whose prediction counts.

    ``attack``: fields of the attack, its ``name`` included. ``beta_atk``: the joint losses that the attacker tries;
    None for the profile's list. ``head``: ``final``, or ``1``, ``2``, ... for an inserted module's own prediction. ``top_k``:
    how many of the classes with the highest scores the true one may be among.
    """

    label: str
    attack: Settings
    beta_atk: tuple[str, ...] | None = ("own",)
    head: str = "final"
    top_k: int = 1

    @property
    def adversarial(self) -> bool:
        """Whether the images are attacked at all."""
        return self.attack["name"] != "natural"

    @property
    def complete(self) -> bool:
        """Whether it needs every example attacked to the end, also when its final prediction is wrong."""
        return self.head != "final" or self.top_k > 1


@dataclass(frozen=True)
class Profile:
    """Where a study is run.

    ``settings``: fields that hold unless the study or an arm sets them. ``pins``: fields that hold whatever they set; a
    factor that sets nothing but pinned fields disappears. ``eps``: the budget in pixels in [0, 1], for training and
    evaluation. ``beta_atk``: the joint losses that columns without a list of their own try.
    """

    name: Literal["paper", "short", "demo"]
    eps: float
    seeds: int
    settings: Settings = field(default_factory=dict)
    pins: Settings = field(default_factory=dict)
    beta_atk: tuple[str, ...] = BETA_ATK


@dataclass(frozen=True)
class Arm:
    """One row of a table: a label for each factor, and the fields that its levels set."""

    labels: tuple[str, ...]
    settings: Settings


@dataclass(frozen=True)
class Study:
    """One ablation.

    ``name``: ``paper/slug``; ``aliases``: further slugs. ``reference``: where the paper prints it. ``baselines``: rows
    beside the product of the factors' levels. ``fixed``: fields of every arm. ``checkpoint``: what the paper shows.
    ``rows_by_beta``: a row for each of the attacker's joint losses instead of the strongest of them. ``factors`` and
    ``baselines`` carry labels in the same order.
    """

    name: str
    aliases: tuple[str, ...]
    reference: str
    title: str
    factors: tuple[Factor, ...]
    columns: tuple[Column, ...]
    profiles: Mapping[str, Profile]
    fixed: Settings = field(default_factory=dict)
    baselines: tuple[Arm, ...] = ()
    checkpoint: Literal["best", "last", "both"] = "last"
    rows_by_beta: bool = False

    @property
    def paper(self) -> str:
        """The first half of the name."""
        return self.name.split("/")[0]

    def varied(self, profile: Profile) -> tuple[Factor, ...]:
        """The factors that still vary in ``profile``."""
        return tuple(f for f in self.factors if not f.fields <= profile.pins.keys())

    def arms(self, profile: Profile) -> tuple[Arm, ...]:
        """The rows of the table: baselines first, then the product of the factors' levels, the last factor fastest.

        A baseline that is told from a level by nothing but a factor that disappeared gives way to it.
        """
        kept = [i for i, f in enumerate(self.factors) if f in self.varied(profile)]
        rows: dict[tuple[str, ...], Arm] = {}
        for arm in self.baselines:
            labels = tuple(arm.labels[i] for i in kept)
            rows.setdefault(labels, Arm(labels, arm.settings))
        levels: tuple[Level, ...]
        for levels in product(*(self.factors[i].levels for i in kept)):
            labels = tuple(level.label for level in levels)
            rows[labels] = Arm(labels, {k: v for level in levels for k, v in level.settings.items()})
        return tuple(rows.values())

    def printed(self) -> tuple[Number, ...]:
        """The numbers that the paper prints; empty where it prints none."""
        return printed(self.name)
