"""Columns that are the points of a curve: accuracy as a function of one field of an attack."""

from collections.abc import Iterable

from search_spaces.column import Column
from search_spaces.settings import Eps, Settings


def over_iterations(
    name: str, attack: Settings, iterations: Iterable[int], *, beta_atk: tuple[str, ...] | None = ("own",)
) -> tuple[Column, ...]:
    """Make a column for each number of ``iterations`` of ``attack``; the longest evaluation answers the shorter ones."""
    return tuple(Column(f"{name}-{n}", {**attack, "iterations": n}, beta_atk) for n in iterations)


def over_eps(
    attack: Settings, times: Iterable[float], *, step: float, beta_atk: tuple[str, ...] | None = ("own",)
) -> tuple[Column, ...]:
    """Make a column for each multiple (``times``) of the profile's eps, with a step size of ``step`` times that eps."""
    return tuple(
        Column(f"{t:g} ε" if t != 1 else "ε", {**attack, "eps": Eps(t), "step": Eps(step * t)}, beta_atk) for t in times
    )
