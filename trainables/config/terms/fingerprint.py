"""Fingerprints of code that ignore comments, docstrings and layout."""

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
    """Return 16 hex digits over the code of classes and functions, without comments, docstrings and layout.

    Included are the definitions of their file that they use, directly or indirectly, and the whole of the local files that
    these import (:func:`local_modules`). Not included are other packages, and what is not reached by name, such as a table
    that is filled later or a data file.

    Args:
        things: classes and functions that are defined in files.
        version: raised by hand where something changes that the fingerprint does not include.

    Raises:
        OSError: a definition is in no file.
    """
    found: set[str] = set()
    for thing in things:
        module, name = sys.modules[thing.__module__], thing.__qualname__.partition(".")[0]
        if name not in _made(module):
            raise OSError(f"{name} is in no file")
        _follow(module, {name}, found)
    # Sorted, so that the order does not depend on other code in the file.
    return hashlib.sha256("\n".join([str(version), *sorted(found)]).encode()).hexdigest()[:16]


def fingerprint_of_module(name: str, file: Path, more: str = "") -> str:
    """Return 16 hex digits over a module that is not imported, and over the text ``more``.

    Included are the whole of its file and of the local files that it imports, directly or indirectly, without comments,
    docstrings and layout. Local is what belongs to its package, or lies in its folder if it has none.
    """
    found: dict[Path, str] = {}
    left = [(name, file)]
    while left:
        one, path = left.pop()
        statements = _parsed(path.read_text(encoding="utf-8"))
        found[path] = ast.unparse(ast.Module(statements, []))
        left += [(other, there) for other, there in _local_files(one, path, statements) if there not in found]
    return hashlib.sha256("\n".join([more, *sorted(found.values())]).encode()).hexdigest()[:16]


def _local_files(name: str, file: Path, statements: list[ast.stmt]) -> Iterator[tuple[str, Path]]:
    """Yield the local modules that a module imports, by name and file."""
    inside = file.name == "__init__.py"
    depth = name.count(".") + inside
    root, top = file.parents[depth], name.partition(".")[0]
    for node in ast.walk(ast.Module(statements, [])):
        if isinstance(node, _Import):
            for other in sorted(_dotted(node, name if inside else name.rpartition(".")[0])):
                first = other.partition(".")[0]
                local = first == top if depth else first not in OURS and root.name not in {"site-packages", "dist-packages"}
                base = root.joinpath(*other.split("."))
                yield from ((other, f) for f in (base.with_suffix(".py"), base / "__init__.py") if local and f.is_file())


def local_imports(module: ModuleType) -> tuple[ModuleType, ...]:
    """Return the local modules that a module imports, directly or indirectly; see :func:`local_modules`."""
    found: dict[str, ModuleType] = {}
    left = [module]
    while left:
        one = left.pop()
        for node in ast.walk(ast.Module(_statements(one), [])):
            if isinstance(node, _Import):
                new = [other for other in local_modules(one, node) if other.__name__ not in found and other is not module]
                found |= {other.__name__: other for other in new}
                left += new
    return tuple(found.values())


def local_modules(module: ModuleType, statement: _Import) -> Iterator[ModuleType]:
    """Yield the modules that an import statement of ``module`` loads from the module's package or its file's folder."""
    for name in sorted(_dotted(statement, module.__package__ or "") & sys.modules.keys()):
        if _belongs(sys.modules[name], module):
            yield sys.modules[name]


def _dotted(statement: _Import, package: str) -> set[str]:
    """Return the names of what an import in ``package`` may load: modules, their packages, and what may be one."""
    if isinstance(statement, ast.Import):
        names = [alias.name for alias in statement.names]
    else:
        parts = package.split(".")
        above = parts[: len(parts) + 1 - statement.level] if statement.level else []
        base = ".".join([*above, *filter(None, [statement.module])])
        names = [base, *(f"{base}.{alias.name}" for alias in statement.names)]
    return {name[:i] for name in names for i in range(1, len(name) + 1) if name[i : i + 1] in {"", "."}}


def _belongs(other: ModuleType, module: ModuleType) -> bool:
    top, file = other.__name__.partition(".")[0], getattr(other, "__file__", None)
    if file is None or top == __name__.partition(".")[0]:
        return False
    if module.__package__ and top == module.__package__.partition(".")[0]:
        return True
    # Located in this folder itself, and not in a virtual environment inside it.
    folder = Path(str(module.__file__)).resolve().parent
    return Path(file).resolve() in {folder / f"{top}.py"} or Path(file).resolve().is_relative_to(folder / top)


def _follow(module: ModuleType, names: Iterable[str], found: set[str]) -> None:
    """Add the statements that define these names of a module, and the statements that those depend on."""
    left, seen = set(names), set[str]()
    while left:
        name = left.pop()
        seen.add(name)
        for statement in _made(module).get(name, []):
            if isinstance(statement, _Import):
                # This project's modules may move; what they compute has version numbers.
                text = "" if _is_ours(statement) else _brings(statement, name)
                for other in local_modules(module, statement):
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
        for other in local_imports(module):
            _all(other, found)


def _brings(statement: _Import, name: str) -> str:
    """Return the text of an import reduced to what defines ``name``."""
    aliases = [alias for alias in statement.names if (alias.asname or alias.name).partition(".")[0] in {name, "*"}]
    origin = "." * statement.level + (statement.module or "") if isinstance(statement, ast.ImportFrom) else ""
    return " ".join([origin, *(f"{alias.name} as {alias.asname}" for alias in aliases)])


def _is_ours(statement: _Import) -> bool:
    """Whether an import loads this project's packages alone."""
    names = [statement.module or ""] if isinstance(statement, ast.ImportFrom) else [alias.name for alias in statement.names]
    ours = isinstance(statement, ast.Import) or statement.level == 0
    return ours and all(name.partition(".")[0] in OURS for name in names)


def _statements(module: ModuleType) -> list[ast.stmt]:
    """Return the statements of a module's file, without docstrings."""
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
    """Return a module's statements by the names that they define; a compound statement such as ``if`` by all names in it."""
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
