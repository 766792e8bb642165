"""A space: the factors of a defense and what it is beside them, for a search to draw from. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from search_spaces.factor import Factor
from search_spaces.settings import Settings
from search_spaces.study import Profile, Study


@dataclass(frozen=True)
class Space:
    """``name``: as a paper or a study; ``fixed``: fields of every configuration, which the factors' own go over."""

    name: str
    fixed: Settings
    factors: tuple[Factor, ...]
    profiles: Mapping[str, Profile]

    @classmethod
    def of(cls, study: Study) -> Self:
        """What a study varies, beyond its levels."""
        return cls(study.name, study.fixed, study.factors, study.profiles)
