"""Rows of the record's tables, and nested configurations as columns."""

from collections.abc import Mapping
from typing import Any

#: A row of one of the record's tables, by column.
RecordRow = Mapping[str, Any]


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a nested mapping to dotted names (``{"module": {"beta": 2}}`` to ``{"module.beta": 2}``), leaving out None."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat
