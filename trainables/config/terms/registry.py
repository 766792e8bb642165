"""The one door by which built-ins and plugins enter: what is registered, by kind and name. Imports no torch.

A built-in's specification names its implementation and is decorated with its kind::

    @ATTACK.built_in
    class FGSM(Linf, Expected):
        implementation = "trainables.attacks.methods.fgsm:attack"
        name: Literal["fgsm"] = "fgsm"

A plugin's comes by :mod:`trainables.plugins`, with its implementation at hand. From there on both are the same: fields of a
configuration that take one of a kind (:class:`OneOf`, :class:`NameOf`) know it, and so do keys, error messages and commands.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from trainables.config.terms.spec import Named, Spec

N = TypeVar("N", bound=Named)

#: The version of what an entry computes: a number that is raised by hand, or a plugin's fingerprint, 16 hex digits.
Version = int | str


class BadPlugin(ValueError):
    """A plugin that cannot be registered, or that breaks the promises of its kind; the message names it and says why."""


class Origin(NamedTuple):
    """Where a plugin's code is: its ``file``, and the name of the ``module`` that it became."""

    file: str
    module: str


@dataclass(frozen=True)
class Entry:
    """What is registered under a name.

    Attributes:
        kind: title of its kind, such as ``attack``.
        name: a single word of a-z, 0-9 and dashes.
        info: its specification (a class), or, of models and data sets, what is known of them without torch.
        implementation: ``package.module:name``, imported when it is first asked for, or the thing itself.
        version: of its numerics; a part of every key that it is in.
        origin: of a plugin; None of a built-in.
        meaning: what it is, in one line; empty where the docstring of its specification says it.
    """

    kind: str
    name: str
    info: Any
    implementation: Any = field(compare=False)
    version: Version
    origin: Origin | None = None
    meaning: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"

    def load(self) -> Any:
        """Import what does the work."""
        if not isinstance(self.implementation, str):
            return self.implementation
        module, _, name = self.implementation.partition(":")
        return getattr(import_module(module), name)


@dataclass(frozen=True, eq=False)
class Kind:
    """Everything that is registered of one kind, by name. ``infos``: of each entry its ``info``, for those who need no more."""

    title: str
    entries: dict[str, Entry] = field(default_factory=dict)
    infos: dict[str, Any] = field(default_factory=dict)

    def built_in(self, spec: type[N]) -> type[N]:
        """Register a specification of this repository; a decorator."""
        name = spec.model_fields["name"].default
        self.add(Entry(self.title, name, spec, spec.implementation, spec.numerics))
        return spec

    def add(self, entry: Entry) -> None:
        """Register an entry in place of what had its name."""
        self.entries[entry.name] = entry
        self.infos[entry.name] = entry.info

    def load(self, name: str) -> Any:
        """The implementation of that name."""
        return self.entries[name].load()

    @property
    def built_ins(self) -> frozenset[str]:
        """Names of what this repository brings."""
        return frozenset(name for name, entry in self.entries.items() if entry.origin is None)

    @property
    def plugins(self) -> dict[str, Entry]:
        """What came from outside, by name."""
        return {name: entry for name, entry in self.entries.items() if entry.origin is not None}


MODULE, OBJECTIVE, TRAINING_ATTACK = Kind("module"), Kind("objective"), Kind("training attack")
ATTACK, MODEL, DATA, MEASURE = Kind("attack"), Kind("model"), Kind("data set"), Kind("measure")
KINDS = (MODULE, OBJECTIVE, TRAINING_ATTACK, ATTACK, MODEL, DATA, MEASURE)


@dataclass(frozen=True)
class OneOf:
    """Marks a field that takes a specification of a kind, by its ``name``: any, or those for which ``where`` holds."""

    kind: Kind
    where: Callable[[Any], bool] = bool

    @property
    def specs(self) -> tuple[type[Named], ...]:
        """What the field takes."""
        return tuple(spec for spec in self.kind.infos.values() if self.where(spec))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        members: Any = Union[self.specs]  # noqa: UP007  # of a tuple that is made here
        return handler.generate_schema(Annotated[members, Field(discriminator="name")] if len(self.specs) > 1 else members)


@dataclass(frozen=True)
class NameOf:
    """Marks a field that takes the name of an entry of a kind."""

    kind: Kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        names: Any = Literal[(*self.kind.entries,)]
        return handler.generate_schema(names)


def plugins() -> tuple[Entry, ...]:
    """Every plugin that was registered in this process."""
    return tuple(entry for kind in KINDS for entry in kind.plugins.values())


def used(spec: Any) -> Iterator[Entry]:
    """The entries in a specification, or in several, wherever they are in them; one that occurs twice comes twice."""
    if isinstance(spec, tuple):
        for one in spec:
            yield from used(one)
    if isinstance(spec, Spec):
        yield from (kind.entries[name] for kind in KINDS for name, info in kind.infos.items() if info is type(spec))
        yield from used(getattr(spec, "parts", ()))
        for name, info in type(spec).model_fields.items():
            value = getattr(spec, name)
            yield from (m.kind.entries[value] for m in info.metadata if isinstance(m, NameOf) and value in m.kind.entries)
            yield from used(value)


def used_plugins(spec: Any) -> frozenset[Entry]:
    """The plugins in a specification, or in several."""
    return frozenset(entry for entry in used(spec) if entry.origin is not None) if plugins() else frozenset()


def versions(spec: Any) -> dict[str, Version]:
    """The version of everything in a specification, by kind and name: ``{"attack 'pgd'": 1}``."""
    return {str(entry): entry.version for entry in used(spec)}


def restorable() -> Callable[[], None]:
    """Remember what is registered now; calling the result brings it back, for a file that breaks off on its way."""
    before = [(dict(kind.entries), dict(kind.infos)) for kind in KINDS]

    def restore() -> None:
        for kind, (entries, infos) in zip(KINDS, before, strict=True):
            # In place: others hold on to these.
            kind.entries.clear()
            kind.entries.update(entries)
            kind.infos.clear()
            kind.infos.update(infos)

    return restore


def renumbered(entry: Entry, version: Version) -> Entry:
    """The same entry in another version."""
    return replace(entry, version=version)
