"""Which factors of a space a search varies, and which labels the others keep. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations
from typing import Any

from orchestrator.errors import BadInput, suggest
from orchestrator.planning.settings import resolve
from search_spaces.factor import Factor, Level
from search_spaces.space import Space
from search_spaces.study import Profile
from search_spaces.training import SEED


class FactorSelection:
    """The factors of a space that can vary in a profile.

    Args:
        space: the space, with all its factors.
        profile: settings of every configuration.
        pins: fields that are fixed in every configuration, by dotted name.
    """

    def __init__(self, space: Space, profile: Profile, pins: Mapping[str, Any]) -> None:
        self._space, self._profile, self._pins = space, profile, pins

    @cached_property
    def _held(self) -> Mapping[str, str]:
        """The label that each factor of the space has while it does not vary; without those that have none of their labels."""
        fields = {**resolve({**self._profile.settings, **self._space.fixed}, self._profile.eps), **self._pins}

        def holds(level: Level) -> bool:
            settings = resolve(level.settings, self._profile.eps)
            return all(_plain(fields[field]) == _plain(value) for field, value in settings.items() if field in fields)

        # The default comes last and so first: fields that nothing sets are its own.
        return {
            factor.name: level.label
            for factor in self._space.factors
            for level in sorted(factor.levels, key=lambda level: level.label == factor.default)
            if holds(level)
        }

    def _in_order(self) -> list[Factor]:
        """Return the space's factors, each after those that it is conditional on."""
        by_name = {factor.name: factor for factor in self._space.factors}

        def depth(factor: Factor) -> int:
            return max((1 + depth(by_name[name]) for name in factor.given if name in by_name), default=0)

        return sorted(self._space.factors, key=depth)

    def named(self, names: Sequence[str]) -> list[Factor]:
        """Return the factors of these names, in order; those that the others are conditional on first.

        Raises:
            BadInput: a factor does not exist, is pinned by the profile, has no effect, or sets the same field as another one.
        """
        # Only where it is named: a search that draws a seed beside other factors compares fewer of their values.
        known = {factor_name(factor): factor for factor in self._space.factors}
        known.setdefault(SEED.name, SEED)
        chosen: list[Factor] = []
        for name in dict.fromkeys(names):
            if name not in known:
                raise BadInput(f"--factors {name}: {self._space.name} has no such factor; {suggest(name, known)}")
            factor = known[name]
            if factor.fields <= self._pins.keys():
                fields = ", ".join(sorted(factor.fields))
                raise BadInput(f"--factors {name}: {fields} is fixed by profile {self._profile.name} or --set")
            chosen.append(factor)
        found = [factor for factor in (*self._in_order(), SEED) if factor in chosen and known[factor_name(factor)] is factor]
        for first, second in combinations(found, 2):
            if both := _shared(first, second):
                names = f"{factor_name(first)},{factor_name(second)}"
                raise BadInput(f"--factors {names}: both set {', '.join(sorted(both))}; choose one")
        for factor in found:
            if missing := [name for name in factor.given if not self._can_apply(factor, found, name)]:
                raise BadInput(f"--factors {factor_name(factor)}: has no effect without {' and '.join(missing)}; name both")
        return _among(found)

    def compatible(self) -> list[Factor]:
        """Return every factor that can vary but the seed, in order, without those that set a field of an earlier one."""
        found: list[Factor] = []
        for factor in self._in_order():
            free = not factor.fields <= self._pins.keys() and factor.name != SEED.name
            applies = all(self._can_apply(factor, found, name) for name in factor.given)
            if free and applies and not any(_shared(other, factor) for other in found):
                found.append(factor)
        return _among(found)

    def _can_apply(self, factor: Factor, varied: Sequence[Factor], name: str) -> bool:
        """Check whether a factor's condition on the one called ``name`` is met by some label, or by that which it keeps.

        What the space does not have cannot be otherwise than its studies have it.
        """
        there = any(name == other.name for other in self._space.factors)
        return not there or any(name == other.name for other in varied) or self._held.get(name) in factor.given[name]


def _among(factors: Sequence[Factor]) -> list[Factor]:
    """Return factors with their conditions on one another alone; those on others are met."""
    names = {factor.name for factor in factors}
    return [replace(f, given={name: labels for name, labels in f.given.items() if name in names}) for f in factors]


def factor_name(factor: Factor) -> str:
    """Return a factor's name as it is given on the command line: without spaces."""
    return factor.name.replace(" ", "_")


def _shared(first: Factor, second: Factor) -> frozenset[str]:
    """Return the fields that two factors set against each other; ``first`` is the earlier one in the space.

    None where one is conditional, as on a label of the other, and none that the later one refines: those of a variant that the
    earlier one chooses, as FAT chooses an attack with a step of its own.
    """
    if first.given or second.given:
        return frozenset()
    chosen = {field.removesuffix("name") for field in first.fields - second.fields if field.endswith(".name")}
    return frozenset(field for field in first.fields & second.fields if f"{field.rpartition('.')[0]}." not in chosen)


def _plain(value: Any) -> Any:
    """Return tuples as the lists that JSON has, to compare them."""
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
