"""Factors: the hyper-parameters that an ablation varies, and their levels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search_spaces.settings import Eps, Scalar, Settings, SourceSettings, Value

#: Name of the factor whose levels are seeds, and of the field that it sets: reports average over it, and compare no two seeds.
SEED = "seed"


@dataclass(frozen=True)
class Level:
    """One setting of a factor: the ``label`` that the table prints, and the fields of the trial that it sets.

    ``conditional``: fields that it also sets in rows with a certain label of another factor, by that label.
    """

    label: str
    settings: Settings
    conditional: Mapping[str, Settings] = field(default_factory=dict)


@dataclass(frozen=True)
class Factor:
    """One ablated hyper-parameter.

    ``symbol``: as the paper writes it. ``levels``: as the paper ablates it. ``default``: the label of the paper's own
    choice. ``distribution``: the range that a search samples; for factors whose levels set several fields, the labels.
    ``of_eps``: whether sampled numbers are multiples of eps. ``given``: by the name of another factor, the labels of which it
    must have one for this factor to apply; a search samples the factor only there.
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
        if SEED in self.fields and (self.name != SEED or len(self.fields) > 1):
            raise ValueError(f"factor {self.name}: what sets the seed must be named {SEED!r}, and set nothing else")

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the trial that any level sets."""
        return frozenset(name for level in self.levels for name in level.settings)

    def level(self, sampled: Scalar) -> Level:
        """Turn a value sampled from the distribution into a level: that of the label, or one that sets the field to it."""
        if isinstance(self.distribution, CategoricalDistribution):
            return next(level for level in self.levels if level.label == sampled)
        (field,) = self.fields
        value: Value | Eps = Eps(float(sampled)) if self.of_eps else sampled
        unit = " eps" if self.of_eps else ""
        known = (level for level in self.levels if level.settings == {field: value})
        return next(known, Level(f"{label(self.symbol, sampled)}{unit}", {field: value}))

    def only(self, *labels: str) -> "Factor":
        """Keep only the levels of these labels; the first is the default where the paper's own is not among them."""
        levels = tuple(level for level in self.levels if level.label in labels)
        default = self.default if self.default in labels else labels[0]
        return replace(self, levels=levels, default=default, distribution=CategoricalDistribution(labels))

    def where(self, **given: tuple[str, ...]) -> "Factor":
        """Apply the factor only where other factors have one of the ``given`` labels."""
        return replace(self, given=given)


def merged(levels: Iterable[Level]) -> dict[str, Value | Eps | SourceSettings | Settings]:
    """Return the fields that the levels of one row set together; of a field that several set, the last one's value holds."""
    levels = tuple(levels)
    labels = [level.label for level in levels]
    conditional = [level.conditional[label] for level in levels for label in labels if label in level.conditional]
    return {k: v for settings in (*(level.settings for level in levels), *conditional) for k, v in settings.items()}


def scalar(
    name: str, symbol: str, path: str, levels: tuple[Scalar, ...], default: Scalar, distribution: BaseDistribution
) -> Factor:
    """Make a factor that sets the single field ``path``; its labels are ``symbol = value``."""
    made = tuple(Level(label(symbol, value), {path: value}) for value in levels)
    return Factor(name, symbol, made, label(symbol, default), distribution)


def levels_of(path: str, values: Mapping[str, Value | Eps]) -> tuple[Level, ...]:
    """Levels that set the one field ``path``: the value of each by its label."""
    return tuple(Level(label, {path: value}) for label, value in values.items())


def label(symbol: str, value: Scalar) -> str:
    """Write the label of a level that is a single value: ``symbol = value``."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{symbol} = {value:g}" if number else f"{symbol} = {value}"


def choice(name: str, symbol: str, levels: tuple[Level, ...], default: str) -> Factor:
    """Make a factor whose levels each set several fields; a search samples their labels."""
    return Factor(name, symbol, levels, default, CategoricalDistribution([level.label for level in levels]))
