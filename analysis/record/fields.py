"""Fields that the record stores as JSON, parsed once: those of a configuration, a measure or an attack."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


class Fields(Mapping[str, Any]):
    """The fields of a JSON object by name, read-only.

    Args:
        text: a JSON object.

    Raises:
        ValueError: ``text`` is no JSON object.
    """

    __slots__ = ("_fields",)

    def __init__(self, text: str) -> None:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError(f"{text}: must be a JSON object")
        self._fields: dict[str, Any] = fields

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return json.dumps(self._fields)


class AttackFields(Fields):
    """The fields of an attack, with those properties that tables and checks need."""

    @property
    def name(self) -> str:
        """The attack's name, such as ``pgd``."""
        return str(self["name"])

    @property
    def on_test_set(self) -> bool:
        """Whether test images are attacked, and not the validation images of a search."""
        return self.get("split") is None

    @property
    def on_every_example(self) -> bool:
        """Whether every image of the split is attacked, and not a sample."""
        return self.get("examples") is None

    @property
    def budget(self) -> tuple[str, float] | None:
        """Norm and eps, of the inner attack where it has one (transfer); None for natural images."""
        fields = self.get("attack", self)
        return (str(fields.get("norm", "linf")), float(fields["eps"])) if "eps" in fields else None


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a nested mapping to dotted names (``{"module": {"beta": 2}}`` to ``{"module.beta": 2}``), leaving out None."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat
