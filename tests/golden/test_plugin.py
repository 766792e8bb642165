"""A plugin's keys change with its own code alone: not with what lies elsewhere, nor with how it imports us."""

import ast
import importlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.golden.keys import ADVICE
from tests.golden.plugin import identity, registered
from tests.support import sample_plugins
from trainables.config.terms.fingerprint import OURS

pytestmark = pytest.mark.usefixtures("forgotten")

PINNED = json.loads((Path(__file__).parent / "plugin.json").read_text(encoding="utf-8"))["identity"]
SOURCE = Path(sample_plugins.__file__).read_text(encoding="utf-8")
VERSIONS = ("versions of the training", "versions of the evaluation")


@pytest.fixture
def identity_of(tmp_path, monkeypatch):
    """The identity of the trial whose plugins have this source; once a test."""
    monkeypatch.syspath_prepend(tmp_path)

    def found(source):
        assert source != SOURCE
        (tmp_path / "edited_sample_plugins.py").write_text(source, encoding="utf-8")
        importlib.invalidate_caches()
        return identity(registered(importlib.import_module("edited_sample_plugins")))

    yield found
    sys.modules.pop("edited_sample_plugins", None)


def otherwise_imported(statement: ast.stmt) -> list[ast.stmt]:
    """An import of ours name by name, the last one first, and of modules by their full names; what else it is, as it is."""
    if not isinstance(statement, ast.ImportFrom) or str(statement.module).partition(".")[0] not in OURS:
        return [statement]
    return [
        ast.Import([ast.alias(f"{statement.module}.{alias.name}", alias.name)])
        if find_spec(str(statement.module)).submodule_search_locations and find_spec(f"{statement.module}.{alias.name}")
        else ast.ImportFrom(statement.module, [alias], 0)
        for alias in reversed(statement.names)
    ]


def test_it_is_what_it_was():
    assert identity(registered(sample_plugins)) == PINNED, ADVICE.format(kind="plugin")


def test_how_it_imports_us_moves_no_key(identity_of):
    statements = ast.parse(SOURCE).body
    edited = [new for statement in statements for new in otherwise_imported(statement)]
    text = ast.unparse(ast.Module(edited, []))
    assert "import trainables.config as config\n" in text
    assert len(edited) > len(statements) + 20
    assert identity_of(text) == PINNED


@pytest.mark.parametrize(
    ("old", "new", "whose", "keys"),
    [
        ("self.by * z", "self.by * z.relu()", "module 'dim'", {"trial", "evaluation"}),
        ("spec.weight * torch", "2 * spec.weight * torch", "objective 'margin'", {"trial", "evaluation"}),
        ("* 2 - 1", "* 2.0 - 1", "training attack 'corner'", {"trial", "evaluation"}),
        ("spec.eps / 2", "spec.eps / 3", "attack 'blur'", {"attack", "evaluation"}),
    ],
)
def test_an_edit_moves_the_version_of_what_was_edited_and_the_keys_that_hold_it(identity_of, old, new, whose, keys):
    assert SOURCE.count(old) == 1
    now = identity_of(SOURCE.replace(old, new))
    before, after = (found[VERSIONS[0]] | found[VERSIONS[1]] for found in (PINNED, now))
    assert {name for name in before if after[name] != before[name]} == {whose}
    assert {name for name in PINNED if now[name] != PINNED[name]} - {*VERSIONS} == keys
