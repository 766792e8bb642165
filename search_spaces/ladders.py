"""Columns that are the points of a figure: accuracy against one number of an attack."""

from collections.abc import Iterable

from search_spaces.column import Column
from search_spaces.settings import Eps, Settings


def over_iterations(
    name: str, attack: Settings, iterations: Iterable[int], *, beta_atk: tuple[str, ...] | None = ("own",)
) -> tuple[Column, ...]:
    """``attack`` with so many steps each, all of one size: the longest tells of the others what they would find."""
    return tuple(Column(f"{name}-{n}", {**attack, "iterations": n}, beta_atk) for n in iterations)


def over_eps(
    attack: Settings, times: Iterable[float], *, step: float, beta_atk: tuple[str, ...] | None = ("own",)
) -> tuple[Column, ...]:
    """``attack`` within so many times the profile's eps each, by steps of ``step`` times that."""
    return tuple(
        Column(f"{t:g} ε" if t != 1 else "ε", {**attack, "eps": Eps(t), "step": Eps(step * t)}, beta_atk) for t in times
    )
