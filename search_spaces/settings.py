"""Settings of a study: fields by name, and the values that they are set to. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass

Scalar = str | int | float | bool
Value = Scalar | None | tuple["Value", ...]


@dataclass(frozen=True)
class Eps:
    """A multiple of the profile's eps: ``Eps(1 / 10)`` is the papers' "step size eps / 10"."""

    times: float = 1.0


@dataclass(frozen=True)
class SourceSettings:
    """The network that transferred attacks come from. A plan replaces it by the key of its trial, the attack's ``source``.

    ``settings``: its fields over the profile's, on the row's data set. One training, from a seed that no row has, serves every
    seed of the row.
    """

    settings: "Settings"


#: Fields by name, and their values: of a trial by dotted names (``module.beta``); of an attack or a measure, which may contain
#: another attack.
Settings = Mapping[str, "Value | Eps | SourceSettings | Settings"]
