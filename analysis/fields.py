"""What the record has as JSON, read once: the fields of a configuration, and those of an attack by what tables ask of it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


class Fields(Mapping[str, Any]):
    """Fields by name, as JSON has them; they cannot be set.

    Args:
        text: a JSON object.

    Raises:
        ValueError: it is no JSON object.
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
    """The fields of an attack."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Which attack it is."""
        return str(self["name"])

    @property
    def on_test_set(self) -> bool:
        """Whether test images are attacked, and not those that a search chooses by."""
        return self.get("split") is None

    @property
    def on_every_example(self) -> bool:
        """Whether all images of the split are attacked, and not a sample of them."""
        return self.get("examples") is None

    @property
    def budget(self) -> tuple[str, float] | None:
        """Norm and eps, of the attack within where it carries one; None for natural images."""
        fields = self.get("attack", self)
        return (str(fields.get("norm", "linf")), float(fields["eps"])) if "eps" in fields else None
