"""Checks on plugins, and registration of plugins that name their implementation. Imports no torch."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, get_args

from trainables.config.attacks.base import AttackSpec
from trainables.config.entrance.parsing import reopen
from trainables.config.measure import MeasureSpec
from trainables.config.module import Predicting, Silent
from trainables.config.objective import Trained
from trainables.config.terms.fingerprint import fingerprint, fingerprint_of_module
from trainables.config.terms.registry import (
    ATTACK,
    MEASURE,
    MODULE,
    OBJECTIVE,
    TRAINING_ATTACK,
    BadPlugin,
    Entry,
    Kind,
    Origin,
    restorable,
)
from trainables.config.terms.spec import Named
from trainables.config.training_attack import Bounded

N = TypeVar("N", bound=Named)

#: Base classes from which the specifications of each kind derive.
BASES: dict[Kind, tuple[type[Named], ...]] = {
    MODULE: (Silent, Predicting),
    OBJECTIVE: (Trained,),
    TRAINING_ATTACK: (Bounded,),
    ATTACK: (AttackSpec,),
    MEASURE: (MeasureSpec,),
}

#: What holds plugins to the promises of their kind, whichever way they were registered.
_GUARDS: dict[Kind, str] = {
    TRAINING_ATTACK: "trainables.plugins.guard:guarded_training",
    ATTACK: "trainables.plugins.guard:guarded",
}

_WORD = re.compile(r"[a-z][a-z0-9-]*")


def plugin(kind: Kind) -> Callable[[type[N]], type[N]]:
    """Return a decorator that registers a specification whose ``implementation`` is written ``package.module:name``.

    The implementation is imported when it is first used. The plugin's version is a fingerprint of the specification's code and
    of the implementation's whole file and of the local files that it imports.

    Raises:
        BadPlugin: the specification is not of this kind, its name is taken, or the implementation's module does not exist.
    """

    def register(spec: type[N]) -> type[N]:
        name = checked_name(kind, spec)
        module, colon, attribute = spec.implementation.partition(":")
        if not (module and colon and attribute.isidentifier()):
            raise BadPlugin(
                f"{kind.title} {name!r}: implementation = {spec.implementation!r}: must be written like package.module:name"
            )
        try:
            found = find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None or not found.origin or not Path(found.origin).is_file():
            raise BadPlugin(f"{kind.title} {name!r}: implementation = {spec.implementation!r}: there is no module {module}")
        version = fingerprint_of_module(module, Path(found.origin), fingerprint(spec, version=spec.numerics))
        origin = Origin(str(sys.modules[spec.__module__].__file__), spec.__module__)
        enter(kind, Entry(kind.title, name, spec, spec.implementation, version, origin))
        return spec

    return register


def checked_name(kind: Kind, spec: Any) -> str:
    """Return the name of a plugin's specification after checking that it is one of its kind.

    Raises:
        BadPlugin: the specification has the wrong base class, no single name, or lacks what its kind must declare.
    """
    bases = BASES[kind]
    if not (isinstance(spec, type) and issubclass(spec, bases)):
        known = " or ".join(base.__name__ for base in bases)
        raise BadPlugin(f"{kind.title} {getattr(spec, '__name__', spec)}: its specification must derive from {known}")
    info = spec.model_fields.get("name")
    names = get_args(info.annotation) if info else ()
    if info is None or len(names) != 1 or info.default != names[0]:
        raise BadPlugin(f'{kind.title} {spec.__name__}: must have a single name: name: Literal["mine"] = "mine"')
    name = str(names[0])
    checked_word(kind, name)
    if kind is MODULE and "positions" not in spec.model_fields:
        raise BadPlugin(f"module {name!r}: {spec.__name__} must have the field positions: tuple[str, ...]")
    if kind is ATTACK and not hasattr(spec, "sees"):
        raise BadPlugin(f"attack {name!r}: {spec.__name__} must say what it sees of the network, such as sees = Sees.SCORES")
    return name


def checked_word(kind: Kind, name: Any) -> None:
    """Check that a name can be written in commands, TOML and file names.

    Raises:
        BadPlugin: it has other characters than a-z, 0-9 and dashes, or does not begin with a letter.
    """
    if not isinstance(name, str) or not _WORD.fullmatch(name):
        raise BadPlugin(f"{kind.title} {name!r}: the name must be of a-z, 0-9 and dashes, and begin with a letter")


def enter(kind: Kind, entry: Entry) -> None:
    """Register a plugin, so that every field of its kind accepts it from now on.

    Raises:
        BadPlugin: the name belongs to a built-in or to another file's plugin, or the same file registers it twice.
    """
    before = kind.entries.get(entry.name)
    if before is not None and before.origin is None:
        raise BadPlugin(f"{entry}: the name is a built-in's; choose another")
    if before is not None and before.origin is not None and entry.origin is not None:
        # A file that was edited is imported again as another module, and replaces the earlier registration.
        if before.origin.module == entry.origin.module and before.version != entry.version:
            raise BadPlugin(f"{entry}: is registered twice, with different contents")
        if before.origin.module != entry.origin.module and before.origin.file != entry.origin.file:
            raise BadPlugin(f"{entry}: the name is taken by {before.origin.file}")
    restore = restorable()
    kind.add(replace(entry, guard=_GUARDS.get(kind, "")))
    try:
        reopen()
    except Exception:
        restore()
        reopen()
        raise
