"""The space that a search samples from: parameters as configurations of trials, and back. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, product
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.errors import BadInput
from orchestrator.planning.settings import configure, resolve
from orchestrator.search.factors import FactorSelection
from search_spaces.factor import Factor, Level, merged
from search_spaces.settings import Scalar, Settings
from search_spaces.space import Space
from search_spaces.study import Profile
from trainables.config import TrialConfig

#: Sampled parameters by the factors' names: labels or numbers. A conditional factor whose condition is not met is left out.
Parameters = Mapping[str, Scalar]

#: What a search compares configurations on where the profile trains on all images. Its finals are trained as the profile says.
HELD_OUT: Settings = {"data.validation": 0.02, "selection.split": "validation"}

#: The most combinations that are enumerated: a larger space counts as infinite.
MAX_COMBINATIONS = 10_000


class SearchSpace:
    """A space in a profile, restricted to the factors that a search varies; the others keep their defaults.

    Args:
        base: the space, with all its factors.
        profile: settings and pinned fields of every configuration.
        names: names of the factors to vary; None for all that can vary together.
        overrides: fields that are fixed in every configuration, by dotted name.

    Attributes:
        factors: the factors that vary, each after those that it is conditional on.

    Raises:
        BadInput: a factor does not exist, is pinned by the profile, has no effect, or sets the same field as another one.
    """

    def __init__(
        self, base: Space, profile: Profile, names: Sequence[str] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> None:
        self.base, self.profile = base, profile
        self._pins = {**resolve(profile.pins, profile.eps), **(overrides or {})}
        selection = FactorSelection(base, profile, self._pins)
        factors = selection.compatible() if names is None else selection.named(names)
        if not factors:
            raise BadInput(f"--factors: profile {profile.name} leaves none of {base.name} free")
        self.factors = tuple(factors)

    @property
    def holds_out(self) -> bool:
        """Whether the search holds images out that the profile trains on."""
        return self.profile.settings.get("data.validation") == 0

    def sample(self, suggest: Callable[[str, BaseDistribution], Scalar]) -> Parameters:
        """Sample parameters; ``suggest`` returns a value for a factor's name and distribution, one factor after another."""
        parameters: dict[str, Scalar] = {}
        for factor in self.factors:
            if _applies(factor, parameters):
                parameters[factor.name] = suggest(factor.name, factor.distribution)
        return parameters

    def levels(self, parameters: Parameters) -> list[Level]:
        """Return the factors' levels that these parameters are."""
        return [factor.level(parameters[factor.name]) for factor in self.factors if factor.name in parameters]

    def label(self, parameters: Parameters) -> str:
        """Name parameters for people, as in ``β = 2, top-4``."""
        return ", ".join(level.label for level in self.levels(parameters)) or "defaults"

    def settings(self, parameters: Parameters) -> Settings:
        """Return the fields that these parameters set, by dotted name."""
        return merged(self.levels(parameters))

    def config(self, parameters: Parameters) -> TrialConfig:
        """Return the configuration of these parameters, with seed 0.

        Raises:
            BadInput: the values are not valid together.
        """
        layers = (self.profile.settings, HELD_OUT if self.holds_out else {}, self.base.fixed, self.settings(parameters))
        return configure([resolve(layer, self.profile.eps) for layer in layers], self._pins)[0]

    @cached_property
    def samples(self) -> tuple[Parameters, ...]:
        """A few valid parameters that together have every label of every factor: what to check before a search begins.

        Raises:
            BadInput: no parameters are valid.
        """
        labelled = [f for f in self.factors if isinstance(f.distribution, CategoricalDistribution)]
        found: list[Parameters] = []
        missing = {(f.name, label) for f in labelled for label in _values(f.distribution) or ()}
        refusal: BadInput | None = None
        for labels in islice(product(*(_values(f.distribution) or () for f in labelled)), MAX_COMBINATIONS):
            parameters = self._with(dict(zip((f.name for f in labelled), labels, strict=True)))
            if found and not missing & parameters.items():
                continue
            try:
                self.config(parameters)
            except BadInput as error:
                refusal = error
                continue
            found.append(parameters)
            missing -= parameters.items()
        if not found and refusal is not None:
            raise refusal
        return tuple(found)

    def _with(self, labels: Parameters) -> Parameters:
        """Return parameters with these labels, and the lowest value of every numeric factor."""
        parameters: dict[str, Scalar] = {}
        for factor in self.factors:
            if _applies(factor, parameters):
                parameters[factor.name] = labels[factor.name] if factor.name in labels else _lowest(factor.distribution)
        return parameters

    def distributions(self, parameters: Parameters) -> dict[str, BaseDistribution]:
        """Return the distributions that these parameters were sampled from, by the factors' names."""
        return {factor.name: factor.distribution for factor in self.factors if factor.name in parameters}

    @cached_property
    def combinations(self) -> tuple[Parameters, ...] | None:
        """All parameters of the space; None if they are infinite or more than MAX_COMBINATIONS."""
        values = [_values(factor.distribution) for factor in self.factors]
        if any(some is None for some in values):
            return None
        found = tuple(islice(self._enumerate([some or () for some in values]), MAX_COMBINATIONS + 1))
        return found if len(found) <= MAX_COMBINATIONS else None

    def _enumerate(self, values: Sequence[Sequence[Scalar]]) -> Iterator[Parameters]:
        """Yield all parameters once: the values of a factor whose condition is not met make no difference."""
        seen: set[str] = set()
        for combination in product(*values):
            parameters: dict[str, Scalar] = {}
            for factor, value in zip(self.factors, combination, strict=True):
                if _applies(factor, parameters):
                    parameters[factor.name] = value
            if (key := json.dumps(parameters)) not in seen:
                seen.add(key)
                yield parameters

    def locate(self, config: TrialConfig) -> Parameters | None:
        """Return the parameters of a configuration; None if it is outside this space."""
        tree = config.model_dump(mode="json")
        labels = self._templates.get(self._masked(tree))
        if labels is None:
            return None
        parameters: dict[str, Scalar] = {}
        for factor in self.factors:
            if not _applies(factor, parameters):
                continue
            if factor.name in labels:
                parameters[factor.name] = labels[factor.name]
                continue
            (field,) = factor.fields
            number = _at(tree, field)
            value = number / self.profile.eps if factor.of_eps and isinstance(number, float) else number
            if not _contains(factor.distribution, value):
                return None
            parameters[factor.name] = value
        try:
            return parameters if self.config(parameters) == config else None
        except BadInput:
            return None

    @cached_property
    def _templates(self) -> Mapping[str, Parameters]:
        """The labels of parameters, by their configurations without the sampled numbers."""
        labelled = [f for f in self.factors if isinstance(f.distribution, CategoricalDistribution)]
        found: dict[str, Parameters] = {}
        for labels in islice(product(*(_values(f.distribution) or () for f in labelled)), MAX_COMBINATIONS):
            chosen = dict(zip((f.name for f in labelled), labels, strict=True))
            parameters = self._with(chosen)
            try:
                tree = self.config(parameters).model_dump(mode="json")
            except BadInput:
                continue
            found.setdefault(self._masked(tree), {name: value for name, value in parameters.items() if name in chosen})
        return found

    def _masked(self, tree: Mapping[str, Any]) -> str:
        """Return a configuration as JSON, with null for the sampled numbers."""
        masked = json.loads(json.dumps(tree))
        for factor in self.factors:
            if not isinstance(factor.distribution, CategoricalDistribution):
                (field,) = factor.fields
                *parts, last = field.split(".")
                node = _at(masked, ".".join(parts))
                if isinstance(node, dict) and last in node:
                    node[last] = None
        return json.dumps(masked, sort_keys=True)


def _applies(factor: Factor, parameters: Parameters) -> bool:
    """Check whether the factors that this one is conditional on have the labels that it needs."""
    return all(parameters.get(other) in labels for other, labels in factor.given.items())


def _values(distribution: BaseDistribution) -> Sequence[Scalar] | None:
    """Return every value of a distribution; None if they are infinite."""
    match distribution:
        case CategoricalDistribution():
            return [choice for choice in distribution.choices if choice is not None]
        case IntDistribution():
            return range(distribution.low, distribution.high + 1, distribution.step)
        case FloatDistribution(step=float(step)):
            return [distribution.low + i * step for i in range(1 + round((distribution.high - distribution.low) / step))]
    return None


def _lowest(distribution: BaseDistribution) -> Scalar:
    """Return the lowest number of a distribution."""
    return distribution.low if isinstance(distribution, IntDistribution | FloatDistribution) else 0


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    """Check whether a value is a number of the distribution."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(distribution, IntDistribution):
        return value in range(distribution.low, distribution.high + 1, distribution.step)
    if not isinstance(distribution, FloatDistribution) or not distribution.low <= value <= distribution.high:
        return False
    return distribution.step is None or ((value - distribution.low) / distribution.step).is_integer()


def _at(tree: Any, field: str) -> Any:
    """Return the value of a dotted field; None if there is no such field."""
    for part in filter(None, field.split(".")):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
