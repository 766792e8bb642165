"""What a piece of code is, whatever its comments and its layout: so that editing it is a change, and tidying it is none."""

import ast
import hashlib
import linecache
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

#: This project's packages.
OURS = frozenset({"advsweep", "orchestrator", "trainables", "search_spaces", "analysis"})

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Import = ast.Import | ast.ImportFrom


def fingerprint(*things: Any, version: int = 0) -> str:
    """16 hex digits over the code of classes and functions, without comments, docstrings and layout.

    With them goes what they name, directly or through one another, of their own file, and all of the files beside it that this
    imports (:func:`beside`). What other packages do is not seen; nor is what is reached otherwise than by its name, such as a
    table that is filled later on or a file that is read.

    Args:
        things: classes and functions that are in files.
        version: raised by hand where something changes that is not seen.

    Raises:
        OSError: there is no file.
    """
    found: set[str] = set()
    for thing in things:
        module, name = sys.modules[thing.__module__], thing.__qualname__.partition(".")[0]
        if name not in _made(module):
            raise OSError(f"{name} is in no file")
        _follow(module, {name}, found)
    # In an order that no other code, added or left out, changes.
    return hashlib.sha256("\n".join([str(version), *sorted(found)]).encode()).hexdigest()[:16]


def fingerprint_of_file(file: Path, beside: str = "") -> str:
    """16 hex digits over a whole file's code, without comments, docstrings and layout, and over the text ``beside`` it."""
    text = ast.unparse(ast.Module(_parsed(file.read_text(encoding="utf-8")), []))
    return hashlib.sha256(f"{beside}\n{text}".encode()).hexdigest()[:16]


def neighbours(module: ModuleType) -> tuple[ModuleType, ...]:
    """The modules beside a module's file that it imports, directly or through one another."""
    found: dict[str, ModuleType] = {}
    left = [module]
    while left:
        one = left.pop()
        for node in ast.walk(ast.Module(_statements(one), [])):
            if isinstance(node, _Import):
                new = [other for other in beside(one, node) if other.__name__ not in found and other is not module]
                found |= {other.__name__: other for other in new}
                left += new
    return tuple(found.values())


def beside(module: ModuleType, statement: _Import) -> Iterator[ModuleType]:
    """What an import brings, as far as it belongs to this module: its own package's, and what lies in its file's folder."""
    if isinstance(statement, ast.Import):
        names = [alias.name for alias in statement.names]
    else:
        package = (module.__package__ or "").split(".")
        above = package[: len(package) + 1 - statement.level] if statement.level else []
        base = ".".join([*above, *filter(None, [statement.module])])
        names = [base, *(f"{base}.{alias.name}" for alias in statement.names)]
    parents = {name[:i] for name in names for i in range(1, len(name) + 1) if name[i : i + 1] in {"", "."}}
    for name in sorted(parents & sys.modules.keys()):
        if _belongs(sys.modules[name], module):
            yield sys.modules[name]


def _belongs(other: ModuleType, module: ModuleType) -> bool:
    top, file = other.__name__.partition(".")[0], getattr(other, "__file__", None)
    if file is None or top == __name__.partition(".")[0]:
        return False
    if module.__package__ and top == module.__package__.partition(".")[0]:
        return True
    # Found by its name in this very folder, and not in an environment that happens to be kept there.
    folder = Path(str(module.__file__)).resolve().parent
    return Path(file).resolve() in {folder / f"{top}.py"} or Path(file).resolve().is_relative_to(folder / top)


def _follow(module: ModuleType, names: Iterable[str], found: set[str]) -> None:
    """Add the statements that give these names of a module their meaning, and all that these name."""
    left, seen = set(names), set[str]()
    while left:
        name = left.pop()
        seen.add(name)
        for statement in _made(module).get(name, []):
            if isinstance(statement, _Import):
                # Where our own code lies may change; what it computes has versions of its own.
                text = "" if _is_ours(statement) else _brings(statement, name)
                for other in beside(module, statement):
                    _all(other, found)
            else:
                text = ast.unparse(statement)
                left |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} - seen
            if text:
                found.add(text)


def _all(module: ModuleType, found: set[str]) -> None:
    text = ast.unparse(ast.Module(_statements(module), []))
    if text not in found:
        found.add(text)
        for other in neighbours(module):
            _all(other, found)


def _brings(statement: _Import, name: str) -> str:
    """An import without what else it brings."""
    aliases = [alias for alias in statement.names if (alias.asname or alias.name).partition(".")[0] in {name, "*"}]
    origin = "." * statement.level + (statement.module or "") if isinstance(statement, ast.ImportFrom) else ""
    return " ".join([origin, *(f"{alias.name} as {alias.asname}" for alias in aliases)])


def _is_ours(statement: _Import) -> bool:
    """Whether an import brings something of this project's packages."""
    names = [statement.module or ""] if isinstance(statement, ast.ImportFrom) else [alias.name for alias in statement.names]
    ours = isinstance(statement, ast.Import) or statement.level == 0
    return ours and all(name.partition(".")[0] in OURS for name in names)


def _statements(module: ModuleType) -> list[ast.stmt]:
    """Of a module's file, without docstrings."""
    file = str(module.__file__)
    linecache.checkcache(file)
    return _parsed("".join(linecache.getlines(file, vars(module))))


@lru_cache(maxsize=64)
def _parsed(source: str) -> list[ast.stmt]:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _Definition | ast.Module) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree.body


def _made(module: ModuleType) -> dict[str, list[ast.stmt]]:
    """A module's statements by the names that they give a meaning to; one such as ``if`` by those within it."""
    made: dict[str, list[ast.stmt]] = {}
    for statement in _statements(module):
        for name in _names(statement):
            made.setdefault(name, []).append(statement)
    return made


def _names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _Definition):
        return {statement.name}
    names: set[str] = set()
    for node in ast.walk(statement):
        match node:
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Import() | ast.ImportFrom():
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return names
