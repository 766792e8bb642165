"""No key, and no name of a random stream, changes by accident."""

import json
from pathlib import Path

import pytest

from tests.golden.keys import ADVICE, values

PINNED = json.loads((Path(__file__).parent / "keys.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def now():
    return dict(values())


@pytest.mark.parametrize("name", PINNED)
def test_it_is_what_it_was(now, name):
    """What is new may be written to the file later; what is there stays."""
    before = PINNED[name]
    assert {part: now.get(name, {}).get(part) for part in before} == before, ADVICE.format(kind="keys")
