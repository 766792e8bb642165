"""What a study sets: fields by name, and the values that they are set to. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass

Scalar = str | int | float | bool
Value = Scalar | None | tuple["Value", ...]


@dataclass(frozen=True)
class Eps:
    """A multiple of the profile's eps: ``Eps(1 / 10)`` is the papers' "step size eps / 10"."""

    times: float = 1.0


@dataclass(frozen=True)
class Source:
    """The network that a transferred attack is made on: in place of the attack's ``source``, which is a trial's key.

    ``settings``: fields over the profile's, on the row's own data set. It is one training for every seed of the row, from a
    seed that no row has.
    """

    settings: "Settings"


#: Fields by name, and what they are set to: of a trial by dotted names (``module.beta``); of an attack or a measure, which
#: may have another attack within.
Settings = Mapping[str, "Value | Eps | Source | Settings"]
