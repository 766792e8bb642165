"""Spaces that a search samples: the factors of a defense, and its fixed fields. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from search_spaces.factor import Factor
from search_spaces.settings import Settings
from search_spaces.study import Profile, Study


@dataclass(frozen=True)
class Space:
    """The space of a search.

    ``name``: of a paper or a study. ``fixed``: fields of every configuration, unless a factor sets them.
    """

    name: str
    fixed: Settings
    factors: tuple[Factor, ...]
    profiles: Mapping[str, Profile]

    @classmethod
    def of(cls, study: Study) -> Self:
        """Make the space of a study's factors, which a search samples beyond their levels."""
        return cls(study.name, study.fixed, study.factors, study.profiles)
