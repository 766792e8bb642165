"""Parts of one's own beside the house's: what was registered, by kind and name. Imports no torch.

A registered configuration joins the union of its kind (:class:`Open`), so that fields, keys and error messages know it as they
know the house's. :mod:`trainables.plugins.registration` is the door.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from trainables.config.spec import Spec


class BadPart(ValueError):
    """A part that cannot be registered, or that does not do what its kind promises; the message names it and says why."""


class Part(NamedTuple):
    """A registered part. ``spec``: its configuration, None for models and data sets, which are a name in the house's.

    ``fingerprint``: of the code behind it; see :mod:`trainables.config.fingerprint`. ``file``, ``module``: where it is from.
    """

    kind: str
    name: str
    spec: type[Spec] | None
    fingerprint: str
    file: str
    module: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of part. ``parts``: what was registered, by name; ``tables``: what the house's tables of names hold of it."""

    title: str
    parts: dict[str, Part] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def table(self, name: str) -> dict[str, Any]:
        """What stands behind a table of the house, which looks here for names that it does not have."""
        return self.tables.setdefault(name, {})

    @property
    def specs(self) -> dict[str, type[Spec]]:
        """The configurations by name."""
        return {name: part.spec for name, part in self.parts.items() if part.spec is not None}


MODULE, OBJECTIVE, TRAINING_ATTACK = Kind("module"), Kind("objective"), Kind("training attack")
ATTACK, MODEL, DATA = Kind("attack"), Kind("model"), Kind("data set")
KINDS = (MODULE, OBJECTIVE, TRAINING_ATTACK, ATTACK, MODEL, DATA)


def every() -> tuple[Part, ...]:
    """Everything that was registered in this process."""
    return tuple(part for kind in KINDS for part in kind.parts.values())


@dataclass(frozen=True)
class Open:
    """Marks a union of configurations, told apart by their ``name``, that registered ones of a kind join."""

    kind: Kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        members: Any = Union[(source, *self.kind.specs.values())]
        return handler.generate_schema(Annotated[members, Field(discriminator="name")])


@dataclass(frozen=True)
class OpenNames:
    """Marks a choice of names that registered ones of a kind join."""

    kind: Kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        names: Any = Literal[(*get_args(source), *self.kind.parts)]
        return handler.generate_schema(names)


def settled() -> Callable[[], None]:
    """What brings everything back to as it is now: for files that break off on their way."""
    before = [(dict(kind.parts), {name: dict(table) for name, table in kind.tables.items()}) for kind in KINDS]

    def restore() -> None:
        for kind, (parts, tables) in zip(KINDS, before, strict=True):
            kind.parts.clear()
            kind.parts.update(parts)
            # In place: the house's tables look at these.
            for name, table in kind.tables.items():
                table.clear()
                table.update(tables.get(name, {}))

    return restore


def used(spec: Any) -> Iterator[Part]:
    """The registered parts in a configuration, or in several, wherever they are in them."""
    if not any(kind.parts for kind in KINDS):
        return
    if isinstance(spec, tuple):
        for one in spec:
            yield from used(one)
    if isinstance(spec, Spec):
        yield from (part for part in every() if part.spec is type(spec))
        for name, info in type(spec).model_fields.items():
            value = getattr(spec, name)
            for mark in info.metadata:
                if isinstance(mark, OpenNames) and value in mark.kind.parts:
                    yield mark.kind.parts[value]
            yield from used(value)
