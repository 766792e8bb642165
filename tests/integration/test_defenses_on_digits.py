"""Every defense learns real digits and withstands PGD-20; where that is gradient masking, other attacks show it."""

from typing import Any

import pytest

from tests.support.digit_defenses import DEFENSES, MORE_ITERATIONS, configuration, strong, trained
from trainables.config.terms.registry import MODULE, OBJECTIVE, TRAINING_ATTACK

pytestmark = pytest.mark.timeout(600)

ADVERSARIAL = [name for name in DEFENSES if name != "standard"]

#: How far the accuracy under PGD-20 at the final prediction falls at least, in points, under the strong attack. CAS fell by
#: 21.6, and half of that is asked for; adversarial training itself falls by 3.
MASKED = {"CAS": 10.0}


@pytest.mark.parametrize("name", DEFENSES)
def test_digits_are_learnt(name: str) -> None:
    assert trained(name).accuracy["Natural"] > 85


def test_standard_training_falls() -> None:
    assert trained("standard").accuracy["PGD-20"] < 10


def test_adversarial_training_helps() -> None:
    assert trained("AT").accuracy["PGD-20"] > trained("standard").accuracy["PGD-20"] + 40


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_defense_helps(name: str) -> None:
    assert trained(name).accuracy["PGD-20"] >= trained("standard").accuracy["PGD-20"] + 20


@pytest.mark.parametrize("name", MORE_ITERATIONS)
def test_more_iterations_are_stronger(name: str) -> None:
    accuracy = trained(name).accuracy
    assert accuracy["PGD-100"] <= accuracy["PGD-20"] + 2
    assert accuracy["PGD-20"] <= accuracy["FGSM"] + 2


@pytest.mark.parametrize("name", MASKED)
def test_masked_gradients_are_seen_through(name: str) -> None:
    assert trained(name).accuracy["PGD-20"] - strong(trained(name), trained("AT"))["worst"] > MASKED[name]


def names(part: str) -> set[Any]:
    """The names in one part of the defenses' configurations."""
    return {getattr(getattr(configuration(defense), part), "name", None) for defense in DEFENSES}


def test_no_defense_is_left_out() -> None:
    assert names("module") == {*MODULE.entries}
    assert names("objective") == {*OBJECTIVE.entries}
    assert names("attack") == {None, *TRAINING_ATTACK.entries}
