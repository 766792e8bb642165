"""A factor: one hyper-parameter that an ablation varies."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search_spaces.settings import Eps, Scalar, Settings, Value


@dataclass(frozen=True)
class Level:
    """One setting of a factor: the ``label`` that the table prints, and the fields of the trial that it sets.

    ``beside``: by a label of another factor, what it sets besides in rows that have that label too.
    """

    label: str
    settings: Settings
    beside: Mapping[str, Settings] = field(default_factory=dict)


@dataclass(frozen=True)
class Factor:
    """One ablated hyper-parameter.

    ``symbol``: as the paper writes it. ``levels``: as the paper ablates it. ``default``: the label of the paper's own
    choice. ``distribution``: the range that a search draws from; for factors whose levels are bundles of fields, the
    labels. ``of_eps``: what is drawn is a multiple of eps. ``given``: labels of other factors, by their names, of which each
    must have one of these for this one to mean anything; a search draws it in such rows only.
    """

    name: str
    symbol: str
    levels: tuple[Level, ...]
    default: str
    distribution: BaseDistribution = field(compare=False)
    of_eps: bool = False
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = [level.label for level in self.levels]
        if len(set(labels)) < len(labels):
            raise ValueError(f"factor {self.name}: labels {labels} must differ")
        if self.default not in labels:
            raise ValueError(f"factor {self.name}: default {self.default!r} must be one of {labels}")

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the trial that any level sets."""
        return frozenset(name for level in self.levels for name in level.settings)

    def level(self, drawn: Scalar) -> Level:
        """What a search drew from the distribution: the level of that label, or the one field set to that number."""
        if isinstance(self.distribution, CategoricalDistribution):
            return next(level for level in self.levels if level.label == drawn)
        (field,) = self.fields
        value: Value | Eps = Eps(float(drawn)) if self.of_eps else drawn
        unit = " eps" if self.of_eps else ""
        known = (level for level in self.levels if level.settings == {field: value})
        return next(known, Level(f"{label(self.symbol, drawn)}{unit}", {field: value}))

    def only(self, *labels: str) -> "Factor":
        """The factor with these of its levels; the first is the default where the paper's own is not among them."""
        levels = tuple(level for level in self.levels if level.label in labels)
        default = self.default if self.default in labels else labels[0]
        return replace(self, levels=levels, default=default, distribution=CategoricalDistribution(labels))

    def where(self, **given: tuple[str, ...]) -> "Factor":
        """The factor where other factors have one of these labels."""
        return replace(self, given=given)


def scalar(
    name: str, symbol: str, path: str, levels: tuple[Scalar, ...], default: Scalar, distribution: BaseDistribution
) -> Factor:
    """A factor that sets the one field ``path``; its labels are ``symbol = value``."""
    made = tuple(Level(label(symbol, value), {path: value}) for value in levels)
    return Factor(name, symbol, made, label(symbol, default), distribution)


def levels_of(path: str, values: Mapping[str, Value | Eps]) -> tuple[Level, ...]:
    """Levels that set the one field ``path``: the value of each by its label."""
    return tuple(Level(label, {path: value}) for label, value in values.items())


def label(symbol: str, value: Scalar) -> str:
    """What a table prints for a level that is one value."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{symbol} = {value:g}" if number else f"{symbol} = {value}"


def choice(name: str, symbol: str, levels: tuple[Level, ...], default: str) -> Factor:
    """A factor whose levels are named bundles of fields."""
    return Factor(name, symbol, levels, default, CategoricalDistribution([level.label for level in levels]))
