"""What pyproject.toml declares is imported, and what is imported is declared."""

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.architecture.sizes import PACKAGES, ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: Packages of this repository, the example of a plugin's among them.
OURS = {*PACKAGES, "benchmarks", "tests", "advsweep_corners"}

#: Required, though only another library imports it, once we use that library: where it does.
NEEDED_BY_LIBRARIES = {
    "cmaes": "optuna/samplers/_cmaes.py",  # `search --sampler cmaes`
    "jinja2": "pandas/io/formats/style.py",  # tables as LaTeX and HTML
    "numba": "foolbox/attacks/brendel_bethge.py",  # the attack brendel-bethge
    "scipy": "torchvision/datasets/svhn.py",  # the data set SVHN; Optuna's samplers gp and qmc, too
    "tabulate": "pandas/core/frame.py",  # tables as Markdown
}

#: In an extra, though nothing imports it: commands, what pytest and MkDocs load by themselves, and types for mypy.
TOOLS = {
    "test": {
        "flask-cors",
        "import-linter",
        "moto",
        "mypy",
        "pandas-stubs",
        "pytest-timeout",
        "pytest-xdist",
        "ruff",
        "scipy-stubs",
    },
    "docs": {"mkdocs-material", "mkdocstrings"},
}

#: Distributions of what may be absent where the tests run, and has not the name that is imported.
ABSENT = {"griffe": {"griffelib"}}


class Part(NamedTuple):
    """Files that import, and the extra that they may count on besides what the product requires."""

    folders: tuple[str, ...]
    extra: str = ""
    without: str = ""  # a folder in them that is a part of its own


PARTS = {
    "product": Part(PACKAGES, without="advsweep/testing"),
    "testing": Part(("advsweep/testing",), "testing"),
    "benchmarks": Part(("benchmarks",)),
    "tests": Part(("tests",), "test"),
    "docs": Part(("docs",), "docs"),
    "examples": Part(("examples",), "notebook"),
}


def normal(name: str) -> str:
    """A distribution's name as all its spellings have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str = "") -> set[str]:
    """What the product requires, or one of its extras, those that it names included."""
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    found: set[str] = set()
    for line in lines:
        own = re.fullmatch(rf"{PROJECT['name']}\[(.+)\]", line)
        found |= declared(own[1]) if own else {normal(re.split(r"[^\w.-]", line)[0])}
    return found


def sources(part: Part) -> Iterator[str]:
    """The texts of a part's files, and the code of its notebooks."""
    for file in (file for folder in part.folders for file in sorted((ROOT / folder).rglob("*"))):
        if part.without and file.is_relative_to(ROOT / part.without):
            continue
        text = file.read_text(encoding="utf-8") if file.suffix in {".py", ".ipynb"} else ""
        if file.suffix == ".ipynb":
            cells = json.loads(text)["cells"]
            text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        yield text


def imported(texts: Iterable[str]) -> set[str]:
    """The packages from elsewhere that are imported, wherever in a file."""
    found: set[str] = set()
    for node in (node for text in texts for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found - OURS - sys.stdlib_module_names


def distributions(packages: set[str]) -> dict[str, set[str]]:
    """By imported package: the distributions that bring it, any of which will do."""
    installed = packages_distributions()
    return {name: set(map(normal, installed.get(name, ()))) or ABSENT.get(name, {normal(name)}) for name in packages}


@pytest.mark.parametrize("name", PARTS)
def test_what_is_imported_is_declared(name: str) -> None:
    part = PARTS[name]
    allowed = declared() | (declared(part.extra) if part.extra else set())
    brought = distributions(imported(sources(part)))
    assert {package: by for package, by in brought.items() if not by & allowed} == {}


def test_what_the_product_requires_is_imported() -> None:
    used = set().union(*distributions(imported(sources(PARTS["product"]))).values())
    assert declared() - used == set(NEEDED_BY_LIBRARIES)


@pytest.mark.parametrize("name", [name for name, part in PARTS.items() if part.extra])
def test_what_an_extra_adds_is_imported(name: str) -> None:
    part = PARTS[name]
    used = set().union(*distributions(imported(sources(part))).values())
    assert declared(part.extra) - used == TOOLS.get(part.extra, set())
    assert not declared(part.extra) & declared()


def test_every_extra_belongs_to_a_part() -> None:
    assert {part.extra for part in PARTS.values() if part.extra} == set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize(("name", "place"), NEEDED_BY_LIBRARIES.items())
def test_another_library_that_the_product_imports_needs_it(name: str, place: str) -> None:
    library = place.partition("/")[0]
    assert library in imported(sources(PARTS["product"]))
    spec = find_spec(library)
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parents[1] / place).read_text(encoding="utf-8")
    by_name = re.search(rf"import_optional_dependency\(\s*[\"']{name}[\"']", text)
    assert by_name or name in imported([text])


def test_imports_are_seen_wherever_they_are() -> None:
    text = "import os, one.two\nfrom . import three\nfrom trainables import rng\ndef f():\n    from four.five import six\n"
    assert imported([text, "if True:\n    import seven as os\n"]) == {"one", "four", "seven"}
