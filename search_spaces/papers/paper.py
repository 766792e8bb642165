"""What the studies of one paper have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack

from search_spaces.column import AnyColumn
from search_spaces.factor import Factor
from search_spaces.settings import Settings
from search_spaces.study import Arm, Panel, Profile, Study


class Further(TypedDict, total=False):
    """Fields of :class:`~search_spaces.study.Study` that most studies leave as they are."""

    fixed: Settings
    baselines: tuple[Arm, ...]
    checkpoint: Literal["best", "last", "both"]
    rows_by_beta: bool
    panels: tuple[Panel, ...]
    by_epoch: tuple[str, ...]


@dataclass(frozen=True)
class Paper:
    """A paper. ``name``: the first half of its studies' names; ``citation``: authors, venue and year."""

    name: str
    citation: str
    profiles: Mapping[str, Profile]

    def study(
        self,
        where: str,
        alias: str,
        title: str,
        *factors: Factor,
        columns: tuple[AnyColumn, ...],
        slug: str | None = None,
        profiles: Mapping[str, Profile] | None = None,
        **further: Unpack[Further],
    ) -> Study:
        """Make the study of the table or figure that the paper has ``where``: ``Table E.1`` is ``paper/table-e1``.

        ``slug``: the second half of the name of what has no number of its own.
        """
        return Study(
            name=f"{self.name}/{slug or where.lower().replace(' ', '-').replace('.', '')}",
            aliases=(alias,),
            reference=f"{self.citation}, {where}",
            title=title,
            factors=factors,
            columns=columns,
            profiles=profiles or self.profiles,
            **further,
        )
