"""Print the sizes of the product's folders, files and functions: ``python -m tests.architecture.sizes``."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("advsweep", "orchestrator", "trainables", "search_spaces", "analysis")


def folders() -> dict[str, int]:
    """Count the files in each folder, without ``__init__``."""
    found: dict[str, int] = {}
    for file in files():
        if file.name != "__init__.py":
            folder = file.parent.relative_to(ROOT).as_posix()
            found[folder] = found.get(folder, 0) + 1
    return found


def files() -> Iterator[Path]:
    """List every Python file of the product."""
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def lines() -> dict[str, int]:
    """Count the lines of each file."""
    return {file.relative_to(ROOT).as_posix(): len(file.read_text(encoding="utf-8").splitlines()) for file in files()}


def functions() -> dict[str, int]:
    """Count the lines of each function; the signature and the docstring of a command do not count, for Typer needs both."""
    found: dict[str, int] = {}
    for file in files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                is_command = "cli" in file.parts and not node.name.startswith("_")
                start = node.body[0].end_lineno if is_command and ast.get_docstring(node) else node.lineno - 1
                name = f"{file.relative_to(ROOT).as_posix()}:{node.lineno} {node.name}"
                found[name] = (node.end_lineno or 0) - (start or 0)
    return found


if __name__ == "__main__":
    for title, sizes in (("files in a folder", folders()), ("lines of a file", lines()), ("lines of a function", functions())):
        print(title)
        for name, size in sorted(sizes.items(), key=lambda pair: -pair[1])[:12]:
            print(f"  {size:4d}  {name}")
