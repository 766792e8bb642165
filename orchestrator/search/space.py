"""The cells of a space: what a search draws, as configurations of trials and back. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from itertools import islice, product
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from orchestrator.errors import BadInput
from orchestrator.planning.settings import configure, resolve
from search_spaces.factor import Factor, Level
from search_spaces.settings import Scalar, Settings
from search_spaces.space import Space
from search_spaces.study import Profile
from trainables.config import TrialConfig

#: What was drawn, by the factors' names: a label, or a number. A factor that means nothing in a cell is not in it.
Drawn = Mapping[str, Scalar]

#: A space of more cells counts as endless, and one of more combinations of labels has no templates.
MOST = 10_000


class Cells:
    """A space in a profile, with some of its factors; the others stay as they are.

    Args:
        names: of the factors; None for all that can be drawn together.
        overrides: fields that hold in every cell.

    Attributes:
        factors: those that mean something in every cell first.

    Raises:
        BadInput: a factor is not there, the profile pins it, or another one sets what it sets.
    """

    def __init__(
        self, space: Space, profile: Profile, names: Sequence[str] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> None:
        self.space, self.profile = space, profile
        self._pins = {**resolve(profile.pins, profile.eps), **(overrides or {})}
        factors = self._together() if names is None else self._named(names)
        if not factors:
            raise BadInput(f"--factors: profile {profile.name} leaves none of {space.name} free")
        self.factors = tuple(factors)

    def _in_order(self) -> list[Factor]:
        """The space's factors, each behind those that it is given."""
        by_name = {factor.name: factor for factor in self.space.factors}

        def depth(factor: Factor) -> int:
            return max((1 + depth(by_name[name]) for name in factor.given if name in by_name), default=0)

        return sorted(self.space.factors, key=depth)

    def _named(self, names: Sequence[str]) -> list[Factor]:
        known = {factor_name(factor): factor for factor in self.space.factors}
        chosen: list[Factor] = []
        for name in dict.fromkeys(names):
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(known)}"
                raise BadInput(f"--factors {name}: {self.space.name} has no such factor; {hint}")
            factor = known[name]
            if factor.fields <= self._pins.keys():
                fields = ", ".join(sorted(factor.fields))
                raise BadInput(f"--factors {name}: {fields} is fixed by profile {self.profile.name} or --set")
            for other in chosen:
                if not factor.given and not other.given and (both := factor.fields & other.fields):
                    raise BadInput(f"--factors {factor_name(other)},{name}: both set {', '.join(sorted(both))}; choose one")
            chosen.append(factor)
        for factor in chosen:
            for needed in factor.given:
                if all(needed != other.name for other in chosen):
                    raise BadInput(f"--factors {factor_name(factor)}: means nothing without {needed}; name both")
        return [factor for factor in self._in_order() if factor in chosen]

    def _together(self) -> list[Factor]:
        """In the space's order, without what sets the fields of an earlier one."""
        chosen: list[Factor] = []
        for factor in self._in_order():
            free = not factor.fields <= self._pins.keys()
            known = {c.name for c in chosen}
            taken = {field for c in chosen if not c.given for field in c.fields}
            if free and (factor.given.keys() <= known if factor.given else not factor.fields & taken):
                chosen.append(factor)
        return chosen

    def draw(self, suggest: Callable[[str, BaseDistribution], Scalar]) -> Drawn:
        """A cell, its values drawn one by one by ``suggest``, from a factor's name and distribution."""
        drawn: dict[str, Scalar] = {}
        for factor in self.factors:
            if _means_something(factor, drawn):
                drawn[factor.name] = suggest(factor.name, factor.distribution)
        return drawn

    def levels(self, drawn: Drawn) -> list[Level]:
        """What was drawn, as levels of the factors."""
        return [factor.level(drawn[factor.name]) for factor in self.factors if factor.name in drawn]

    def label(self, drawn: Drawn) -> str:
        """A cell's name for people."""
        return ", ".join(level.label for level in self.levels(drawn))

    def settings(self, drawn: Drawn) -> Settings:
        """The fields that a cell sets."""
        return {field: value for level in self.levels(drawn) for field, value in level.settings.items()}

    def config(self, drawn: Drawn) -> TrialConfig:
        """A cell's configuration, with seed 0.

        Raises:
            BadInput: its values make no sense together.
        """
        layers = (self.profile.settings, self.space.fixed, self.settings(drawn))
        return configure([resolve(layer, self.profile.eps) for layer in layers], self._pins)[0]

    @cached_property
    def samples(self) -> tuple[Drawn, ...]:
        """Cells that make sense, and that every label is in which any has: what a search may need, before it begins.

        Raises:
            BadInput: there is none.
        """
        labelled = [f for f in self.factors if isinstance(f.distribution, CategoricalDistribution)]
        found: list[Drawn] = []
        missing = {(f.name, label) for f in labelled for label in _values(f.distribution) or ()}
        refusal: BadInput | None = None
        for labels in islice(product(*(_values(f.distribution) or () for f in labelled)), MOST):
            drawn = self._with(dict(zip((f.name for f in labelled), labels, strict=True)))
            if found and not missing & drawn.items():
                continue
            try:
                self.config(drawn)
            except BadInput as error:
                refusal = error
                continue
            found.append(drawn)
            missing -= drawn.items()
        if not found and refusal is not None:
            raise refusal
        return tuple(found)

    def _with(self, labels: Drawn) -> Drawn:
        """A cell with these labels, and the least of each number."""
        drawn: dict[str, Scalar] = {}
        for factor in self.factors:
            if _means_something(factor, drawn):
                drawn[factor.name] = labels[factor.name] if factor.name in labels else _some(factor.distribution)
        return drawn

    def distributions(self, drawn: Drawn) -> dict[str, BaseDistribution]:
        """What the values of a cell were drawn from."""
        return {factor.name: factor.distribution for factor in self.factors if factor.name in drawn}

    @cached_property
    def every(self) -> tuple[Drawn, ...] | None:
        """Every cell; None where there is no end of them."""
        values = [_values(factor.distribution) for factor in self.factors]
        if any(some is None for some in values):
            return None
        found = tuple(islice(self._combinations([some or () for some in values]), MOST + 1))
        return found if len(found) <= MOST else None

    def _combinations(self, values: Sequence[Sequence[Scalar]]) -> Iterator[Drawn]:
        """Each cell once: where a factor means nothing, its values make no difference."""
        seen: set[str] = set()
        for combination in product(*values):
            drawn: dict[str, Scalar] = {}
            for factor, value in zip(self.factors, combination, strict=True):
                if _means_something(factor, drawn):
                    drawn[factor.name] = value
            if (key := json.dumps(drawn)) not in seen:
                seen.add(key)
                yield drawn

    def locate(self, config: TrialConfig) -> Drawn | None:
        """The cell of a configuration; None where it is none of this space."""
        tree = config.model_dump(mode="json")
        labels = self._templates.get(self._masked(tree))
        if labels is None:
            return None
        drawn: dict[str, Scalar] = {}
        for factor in self.factors:
            if not _means_something(factor, drawn):
                continue
            if factor.name in labels:
                drawn[factor.name] = labels[factor.name]
                continue
            (field,) = factor.fields
            number = _at(tree, field)
            value = number / self.profile.eps if factor.of_eps and isinstance(number, float) else number
            if not _contains(factor.distribution, value):
                return None
            drawn[factor.name] = value
        try:
            return drawn if self.config(drawn) == config else None
        except BadInput:
            return None

    @cached_property
    def _templates(self) -> Mapping[str, Drawn]:
        """The labels of cells, by what their configurations are without the numbers that are drawn."""
        labelled = [f for f in self.factors if isinstance(f.distribution, CategoricalDistribution)]
        found: dict[str, Drawn] = {}
        for labels in islice(product(*(_values(f.distribution) or () for f in labelled)), MOST):
            chosen = dict(zip((f.name for f in labelled), labels, strict=True))
            drawn = self._with(chosen)
            try:
                tree = self.config(drawn).model_dump(mode="json")
            except BadInput:
                continue
            found.setdefault(self._masked(tree), {name: value for name, value in drawn.items() if name in chosen})
        return found

    def _masked(self, tree: Mapping[str, Any]) -> str:
        """A configuration without the fields of numbers that are drawn."""
        masked = json.loads(json.dumps(tree))
        for factor in self.factors:
            if not isinstance(factor.distribution, CategoricalDistribution):
                (field,) = factor.fields
                *parts, last = field.split(".")
                node = _at(masked, ".".join(parts))
                if isinstance(node, dict) and last in node:
                    node[last] = None
        return json.dumps(masked, sort_keys=True)


def factor_name(factor: Factor) -> str:
    """A factor's name as one types it: without spaces."""
    return factor.name.replace(" ", "_")


def _means_something(factor: Factor, drawn: Drawn) -> bool:
    return all(drawn.get(other) in labels for other, labels in factor.given.items())


def _values(distribution: BaseDistribution) -> Sequence[Scalar] | None:
    """All that can be drawn; None where there is no end of them."""
    match distribution:
        case CategoricalDistribution():
            return [choice for choice in distribution.choices if choice is not None]
        case IntDistribution():
            return range(distribution.low, distribution.high + 1, distribution.step)
        case FloatDistribution(step=float(step)):
            return [distribution.low + i * step for i in range(1 + round((distribution.high - distribution.low) / step))]
    return None


def _some(distribution: BaseDistribution) -> Scalar:
    """A number that can be drawn."""
    return distribution.low if isinstance(distribution, IntDistribution | FloatDistribution) else 0


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a number can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(distribution, IntDistribution):
        return value in range(distribution.low, distribution.high + 1, distribution.step)
    if not isinstance(distribution, FloatDistribution) or not distribution.low <= value <= distribution.high:
        return False
    return distribution.step is None or ((value - distribution.low) / distribution.step).is_integer()


def _at(tree: Any, field: str) -> Any:
    """What is at a dotted field; None where there is no such field."""
    for part in filter(None, field.split(".")):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
