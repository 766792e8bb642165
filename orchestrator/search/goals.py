"""Goals of a search, parsed from the command line: ``pgd20``, ``"pgd(iterations=50)"``, ``"natural >= 80"``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.authoring.attack_text import column
from orchestrator.errors import BadInput
from search_spaces.column import Column
from search_spaces.profiles import ATTACKS, NATURAL


@dataclass(frozen=True)
class Goal:
    """An accuracy on the validation images, in percent: maximised, or, with a ``bound``, constrained to be at least that."""

    column: Column
    bound: float | None = None

    @property
    def label(self) -> str:
        """The column's label, such as ``PGD-20``."""
        return self.column.label


_BOUND = re.compile(r"(.+?)\s*>=\s*(\d+(?:\.\d+)?)\s*%?", re.DOTALL)


def goals(objectives: Sequence[str], constraints: Sequence[str]) -> tuple[Goal, ...]:
    """Parse accuracies to maximise (``pgd20``) and constraints in percent (``natural >= 80``).

    An attack is one of the papers' columns (natural, fgsm, pgd20, pgd100, cw) or written as for ``--attack``. It is run with
    every beta_atk of the profile, and the lowest accuracy counts.

    Raises:
        BadInput: a text cannot be parsed, or an accuracy is given twice.
    """
    found = [Goal(_column(text)) for text in objectives]
    for text in constraints:
        match = _BOUND.fullmatch(text.strip())
        if match is None or not 0 <= float(match[2]) <= 100:
            raise BadInput(f"--constraint {text!r}: write an accuracy and its least percentage, as in 'natural >= 80'")
        found.append(Goal(_column(match[1]), float(match[2])))
    labels = [goal.label for goal in found]
    for label in labels:
        if labels.count(label) > 1:
            raise BadInput(f"--objective, --constraint: {label!r} is given twice")
    return tuple(found)


def _column(text: str) -> Column:
    """Parse an attack: a paper's column by its name, in any spelling (``PGD-20``, ``pgd20``), or the syntax of ``--attack``."""
    named = {NATURAL.label: NATURAL.attack, **ATTACKS}
    by_letters = {_letters(label): Column(label, attack, None) for label, attack in reversed(named.items())}
    known = by_letters.get(_letters(text)) if "(" not in text else None
    made = known or column(text)
    return replace(made, beta_atk=("own",)) if made.label == NATURAL.label else made


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
