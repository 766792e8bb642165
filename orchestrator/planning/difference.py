"""Why a trial is new: how its configuration and the code that trains it differ from the nearest recorded trial's. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.record.fields import flatten
from orchestrator.planning.plan import PlannedTrial
from trainables.config import training_versions

#: Stands for a field that a configuration does not have, or has no value of.
ABSENT = "not set"


@dataclass(frozen=True)
class Change:
    """One difference: ``field``, with its value in the recorded and in the planned trial.

    ``code``: whether it is the version of code, such as ``objective 'trades'``: a built-in's numerics, or the fingerprint of a
    plugin.
    """

    field: str
    recorded: str
    planned: str
    code: bool = False

    def __str__(self) -> str:
        return f"{'the code of ' if self.code else ''}{self.field} {self.recorded} -> {self.planned}"


@dataclass(frozen=True)
class Nearest:
    """The recorded ``trial`` (its key) that is most like a planned one, and the ``changes`` to it."""

    trial: str
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        if not self.changes:
            return f"recorded trial {self.trial[:8]} has the same configuration under another key"
        return f"nearest recorded ({self.trial[:8]}) differs in {', '.join(map(str, self.changes))}"


class _Leaves(NamedTuple):
    """The fields of a configuration, as JSON, and the versions of the code that trains it, by their names."""

    fields: Mapping[str, str]
    versions: Mapping[str, str]


def nearest(planned: Sequence[PlannedTrial], recorded: Iterable[Mapping[str, Any]]) -> dict[str, Nearest]:
    """Find the nearest recorded trial of each planned one: that with the fewest differences, the newest of several.

    Args:
        planned: trials that are not recorded.
        recorded: of each recorded trial its key (``trial``), ``config`` and ``versions``, as JSON, and when it was ``updated``.

    Returns:
        by the planned trials' keys; empty where nothing is recorded.
    """
    rows = sorted(recorded, key=lambda row: str(row["updated"]), reverse=True)
    if not rows or not planned:
        return {}
    known = [_leaves(json.loads(row["config"]), _versions(row["versions"])) for row in rows]
    wanted = [_leaves(json.loads(t.config.model_dump_json()), training_versions(t.config)) for t in planned]
    coded = _Codes([*known, *wanted])
    there = coded.rows[: len(known)]
    found = {}
    for trial, leaves, row in zip(planned, wanted, coded.rows[len(known) :], strict=True):
        differ = there != row
        # Code that one of the two does not run is no difference: then a field already is one.
        differ[:, coded.fields :] &= (there[:, coded.fields :] != 0) & (row[coded.fields :] != 0)
        best = int(differ.sum(axis=1).argmin())
        found[trial.key] = Nearest(rows[best]["trial"], _changes(known[best], leaves))
    return found


class _Codes:
    """Numbers in place of values, so that thousands of trials are compared at once.

    ``rows``: (trials, names), 0 where a trial lacks a name. ``fields``: the number of names that are fields; versions follow.
    """

    def __init__(self, leaves: Sequence[_Leaves]) -> None:
        names = dict.fromkeys(name for each in leaves for name in each.fields)
        self.fields = len(names)
        versions = dict.fromkeys(name for each in leaves for name in each.versions)
        self.rows: NDArray[np.int32] = np.zeros((len(leaves), self.fields + len(versions)), np.int32)
        places = [{name: i for i, name in enumerate(names)}, {name: self.fields + i for i, name in enumerate(versions)}]
        values: dict[str, int] = {}
        for row, each in zip(self.rows, leaves, strict=True):
            for place, part in zip(places, each, strict=True):
                for name, value in part.items():
                    row[place[name]] = values.setdefault(value, len(values) + 1)


def _leaves(config: Mapping[str, Any], versions: Mapping[str, Any]) -> _Leaves:
    return _Leaves(*({name: json.dumps(value) for name, value in part.items()} for part in (flatten(config), versions)))


def _versions(text: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(text or "{}").get("numerics", {})
    return found


def _changes(old: _Leaves, new: _Leaves) -> tuple[Change, ...]:
    """List the differences of two trials; where another variant is chosen (``module.name``), its fields are left out."""
    names = [name for name in dict.fromkeys([*old.fields, *new.fields]) if old.fields.get(name) != new.fields.get(name)]
    variants = [name.removesuffix("name") for name in names if name.endswith(".name")]
    shown = [name for name in names if not any(name.startswith(variant) and name != f"{variant}name" for variant in variants)]
    fields = [Change(name, _text(old.fields.get(name)), _text(new.fields.get(name))) for name in shown]
    changed = [name for name in old.versions if name in new.versions and old.versions[name] != new.versions[name]]
    code = [Change(name, _text(old.versions[name]), _text(new.versions[name]), code=True) for name in changed]
    return (*fields, *code)


def _text(value: str | None) -> str:
    """Write a value for people: a text without its quotes."""
    if value is None:
        return ABSENT
    parsed = json.loads(value)
    return parsed if isinstance(parsed, str) else value
