"""Studies: a table or figure of a paper as factors, columns and profiles. Pure data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from search_spaces.column import BETA_ATK, AnyColumn, Shown
from search_spaces.factor import Factor, Level, merged
from search_spaces.printed import Number, printed
from search_spaces.settings import Settings

#: The name of a figure in those of its panels, where these are studies of their own: ``figure-s1`` in ``figure-s1a``.
_PANEL = re.compile(r"^(.+/figure-[a-z]*\d+)[a-z]$")


@dataclass(frozen=True)
class Panel(Shown):
    """A panel of a study's figure: all arrays of a measure, for every row. ``measure``: its fields, ``name`` included."""

    label: str
    measure: Settings


@dataclass(frozen=True)
class Profile:
    """The setting in which a study is run: data, network, schedule and budget.

    ``settings``: fields that hold unless the study or an arm sets them. ``pins``: fields that hold even then; a factor that
    sets only pinned fields disappears. ``eps``: the budget in pixels in [0, 1], for training and evaluation. ``beta_atk``: the
    joint losses that columns with ``beta_atk=None`` try.
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
    """One ablation: a table or figure of a paper, or a user's.

    ``name``: ``paper/slug``; ``aliases``: further slugs. ``reference``: where the paper prints it. ``factors``: their product
    makes the rows. ``baselines``: further rows, with a label for each factor, in the same order. ``fixed``: fields of every
    arm. ``checkpoint``: which one the paper shows. ``rows_by_beta``: whether each of the attacker's joint losses has a row;
    otherwise the strongest counts. A figure is a table whose ``columns`` are its points; what does not fit in a table are
    ``panels``, and ``by_epoch``: columns of the record of epochs.
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
    panels: tuple[Panel, ...] = ()
    by_epoch: tuple[str, ...] = ()

    @property
    def paper(self) -> str:
        """The paper: the name's part before the slash."""
        return self.name.split("/")[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names by which the study is found: its own, its aliases as ``paper/alias``, and of a panel the whole figure's."""
        return (self.name, *(f"{self.paper}/{alias}" for alias in self.aliases), *_PANEL.findall(self.name))

    def __post_init__(self) -> None:
        labels = [arm.labels for arm in self.baselines]
        if twice := next((one for one in labels if labels.count(one) > 1), None):
            raise ValueError(f"baselines: labels {list(twice)} must differ")

    def varied(self, profile: Profile) -> tuple[Factor, ...]:
        """Select the factors that vary in ``profile``: those that set a field that it does not pin."""
        return tuple(f for f in self.factors if not f.fields <= profile.pins.keys())

    def arms(self, profile: Profile) -> tuple[Arm, ...]:
        """Make the rows of the table: baselines first, then the product of the factors' levels, the last factor fastest.

        A baseline whose labels equal those of a product's row, because a factor has disappeared, is replaced by that row.
        """
        kept = [i for i, f in enumerate(self.factors) if f in self.varied(profile)]
        rows: dict[tuple[str, ...], Arm] = {}
        for arm in self.baselines:
            labels = tuple(arm.labels[i] for i in kept)
            rows.setdefault(labels, Arm(labels, arm.settings))
        levels: tuple[Level, ...]
        for levels in product(*(self.factors[i].levels for i in kept)):
            labels = tuple(level.label for level in levels)
            rows[labels] = Arm(labels, merged(levels))
        return tuple(rows.values())

    def columns_of(self, arm: Arm, profile: Profile) -> tuple[AnyColumn, ...]:
        """Select the columns that apply to a row in a profile."""
        return tuple(column for column in self.columns if column.is_in(profile.name, arm.labels))

    def panels_of(self, arm: Arm, profile: Profile) -> tuple[Panel, ...]:
        """Select the panels of the figure that apply to a row in a profile."""
        return tuple(panel for panel in self.panels if panel.is_in(profile.name, arm.labels))

    def printed(self) -> tuple[Number, ...]:
        """Read the numbers that the paper prints; empty where it prints none."""
        return printed(self.name)

    def cited(self) -> tuple[Number, ...]:
        """Read the numbers that the paper's table quotes from other papers; their rows need be none of the study's."""
        return printed(f"{self.name}-cited")
