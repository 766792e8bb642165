"""Whatever is registered can be loaded, says what its kind says, and keys pin its version."""

import pytest

from trainables.config.terms.registry import ATTACK, KINDS, MODULE

ENTRIES = [entry for kind in KINDS for entry in kind.entries.values()]


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.name != "none"], ids=str)
def test_an_implementation_is_there(entry):
    assert callable(entry.load()) or entry.kind == "data set"


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_a_built_in_has_a_version(entry):
    assert isinstance(entry.version, int)
    assert entry.version >= 1


@pytest.mark.parametrize("spec", ATTACK.infos.values(), ids=lambda spec: spec.__name__)
def test_an_attack_says_what_it_sees(spec):
    assert spec.sees in {"gradients", "scores", "decisions", "nothing"}


def test_the_network_as_it_is_needs_nothing():
    assert MODULE.entries["none"].implementation == ""
