"""The registry of built-ins and plugins, by kind and name. Imports no torch.

A built-in's specification names its implementation and is decorated with its kind::

    @ATTACK.built_in
    class FGSM(Linf, Expected):
        implementation = "trainables.attacks.methods.fgsm:attack"
        name: Literal["fgsm"] = "fgsm"

A plugin is registered by :mod:`trainables.plugins` together with its implementation. From then on both are treated alike: the
fields of configurations that accept its kind (:class:`OneOf`, :class:`NameOf`), keys, error messages and commands include it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from trainables.config.terms.spec import Named, Spec

N = TypeVar("N", bound=Named)

#: Version of what an entry computes: a number raised by hand for a built-in, the fingerprint (16 hex digits) for a plugin.
Version = int | str


class BadPlugin(ValueError):
    """A plugin that cannot be registered, or that breaks the promises of its kind; the message names it and says why."""


class Origin(NamedTuple):
    """Location of a plugin's code: its ``file``, and the name of the ``module`` that was imported from it."""

    file: str
    module: str


@dataclass(frozen=True)
class Entry:
    """A registered module, objective, training attack, attack, model, data set or measure.

    Attributes:
        kind: title of its kind, such as ``attack``.
        name: a single word of a-z, 0-9 and dashes.
        info: its specification (a class), or, of models and data sets, what is known of them without torch.
        implementation: ``package.module:name``, imported when it is first asked for, or the thing itself.
        version: of its numerics; a part of every key that it is in.
        origin: of a plugin; None of a built-in.
        meaning: what it is, in one line; empty where the docstring of its specification says it.
        guard: ``package.module:name`` of what wraps a plugin's implementation to hold it to its promises; "" for none.
    """

    kind: str
    name: str
    info: Any
    implementation: Any = field(compare=False)
    version: Version
    origin: Origin | None = None
    meaning: str = field(default="", compare=False)
    guard: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"

    def load(self) -> Any:
        """Return the implementation behind its guard; either is imported if it is given by name."""
        made = _imported(self.implementation) if isinstance(self.implementation, str) else self.implementation
        return _imported(self.guard)(made) if self.guard else made


def _imported(path: str) -> Any:
    """Import what is named ``package.module:name``."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


@dataclass(frozen=True, eq=False)
class Kind:
    """All entries of one kind by name; ``infos`` holds the ``info`` of each."""

    title: str
    entries: dict[str, Entry] = field(default_factory=dict)
    infos: dict[str, Any] = field(default_factory=dict)

    def built_in(self, spec: type[N]) -> type[N]:
        """Register a specification of this repository; used as a decorator."""
        name = spec.model_fields["name"].default
        self.add(Entry(self.title, name, spec, spec.implementation, spec.numerics))
        return spec

    def add(self, entry: Entry) -> None:
        """Register an entry, replacing one of the same name."""
        self.entries[entry.name] = entry
        self.infos[entry.name] = entry.info

    def load(self, name: str) -> Any:
        """Return the implementation of the entry ``name``."""
        return self.entries[name].load()

    @property
    def built_ins(self) -> frozenset[str]:
        """Names of the built-ins."""
        return frozenset(name for name, entry in self.entries.items() if entry.origin is None)

    @property
    def plugins(self) -> dict[str, Entry]:
        """Entries of the plugins by name."""
        return {name: entry for name, entry in self.entries.items() if entry.origin is not None}


MODULE, OBJECTIVE, TRAINING_ATTACK = Kind("module"), Kind("objective"), Kind("training attack")
ATTACK, MODEL, DATA, MEASURE = Kind("attack"), Kind("model"), Kind("data set"), Kind("measure")
KINDS = (MODULE, OBJECTIVE, TRAINING_ATTACK, ATTACK, MODEL, DATA, MEASURE)


@dataclass(frozen=True)
class OneOf:
    """Annotation of a field that accepts the specifications of a kind for which ``where`` holds; by default all of them."""

    kind: Kind
    where: Callable[[Any], bool] = bool

    @property
    def specs(self) -> tuple[type[Named], ...]:
        """The specifications that the field accepts."""
        return tuple(spec for spec in self.kind.infos.values() if self.where(spec))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        members: Any = Union[self.specs]  # noqa: UP007  # of a tuple that is made here
        return handler.generate_schema(Annotated[members, Field(discriminator="name")] if len(self.specs) > 1 else members)


@dataclass(frozen=True)
class NameOf:
    """Annotation of a field that accepts the name of any entry of a kind."""

    kind: Kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        names: Any = Literal[(*self.kind.entries,)]
        return handler.generate_schema(names)


def plugins() -> tuple[Entry, ...]:
    """Return every plugin registered in this process."""
    return tuple(entry for kind in KINDS for entry in kind.plugins.values())


def used(spec: Any) -> Iterator[Entry]:
    """Yield the entries used in a specification or a tuple of them, at any depth; an entry that is used twice comes twice."""
    if isinstance(spec, tuple):
        for one in spec:
            yield from used(one)
    if isinstance(spec, Spec):
        named: str = getattr(spec, "name", "")
        yield from (kind.entries[named] for kind in KINDS if kind.infos.get(named) is type(spec))
        yield from used(getattr(spec, "parts", ()))
        for name, info in type(spec).model_fields.items():
            value = getattr(spec, name)
            yield from (m.kind.entries[value] for m in info.metadata if isinstance(m, NameOf) and value in m.kind.entries)
            yield from used(value)


def used_plugins(spec: Any) -> frozenset[Entry]:
    """Return the plugins used in a specification or a tuple of them."""
    return frozenset(entry for entry in used(spec) if entry.origin is not None) if plugins() else frozenset()


def versions(spec: Any) -> dict[str, Version]:
    """Return the versions of everything used in a specification, by kind and name: ``{"attack 'pgd'": 1}``."""
    return {str(entry): entry.version for entry in used(spec)}


def restorable() -> Callable[[], None]:
    """Remember what is registered now; call the result to restore it, for instance after a plugin file failed halfway."""
    before = [(dict(kind.entries), dict(kind.infos)) for kind in KINDS]

    def restore() -> None:
        for kind, (entries, infos) in zip(KINDS, before, strict=True):
            # In place: other modules keep references to these.
            kind.entries.clear()
            kind.entries.update(entries)
            kind.infos.clear()
            kind.infos.update(infos)

    return restore


def renumbered(entry: Entry, version: Version) -> Entry:
    """Return the same entry with another version."""
    return replace(entry, version=version)
