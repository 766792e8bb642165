"""A study: one table or figure of a paper as factors, columns and profiles. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from search_spaces.column import BETA_ATK, AnyColumn, Shown
from search_spaces.factor import Factor, Level
from search_spaces.printed import Number, printed
from search_spaces.settings import Settings


@dataclass(frozen=True)
class Picture(Shown):
    """What a figure shows of every row's network: all arrays of a measure. ``measure``: its fields, ``name`` included."""

    label: str
    measure: Settings


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
    ``baselines`` carry labels in the same order. A figure is a table whose ``columns`` are its points; what does not fit in
    one are ``pictures``, and ``by_epoch``: columns of the record of epochs.
    """

    name: str
    aliases: tuple[str, ...]
    reference: str
    title: str
    factors: tuple[Factor, ...]
    columns: tuple[AnyColumn, ...]
    profiles: Mapping[str, Profile]
    fixed: Settings = field(default_factory=dict)
    baselines: tuple[Arm, ...] = ()
    checkpoint: Literal["best", "last", "both"] = "last"
    rows_by_beta: bool = False
    pictures: tuple[Picture, ...] = ()
    by_epoch: tuple[str, ...] = ()

    @property
    def paper(self) -> str:
        """The first half of the name."""
        return self.name.split("/")[0]

    @property
    def names(self) -> tuple[str, ...]:
        """What it answers to: its name, and its aliases as ``paper/alias``."""
        return (self.name, *(f"{self.paper}/{alias}" for alias in self.aliases))

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
            own = [level.settings for level in levels]
            beside = [level.beside[label] for level in levels for label in labels if label in level.beside]
            rows[labels] = Arm(labels, {k: v for settings in (*own, *beside) for k, v in settings.items()})
        return tuple(rows.values())

    def columns_of(self, arm: Arm, profile: Profile) -> tuple[AnyColumn, ...]:
        """The columns that a row has."""
        return tuple(column for column in self.columns if column.is_in(profile.name, arm.labels))

    def pictures_of(self, arm: Arm, profile: Profile) -> tuple[Picture, ...]:
        """The pictures that a row has."""
        return tuple(picture for picture in self.pictures if picture.is_in(profile.name, arm.labels))

    def printed(self) -> tuple[Number, ...]:
        """The numbers that the paper prints; empty where it prints none."""
        return printed(self.name)
