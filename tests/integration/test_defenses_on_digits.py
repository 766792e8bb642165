"""Every defense learns real digits and withstands PGD-20; where that is gradient masking, other attacks show it."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import pytest
from defenses import DEFENSES, Trained, configuration, strong, train

from trainables.config.registry import MODULE, OBJECTIVE, TRAINING_ATTACK

pytestmark = pytest.mark.timeout(1200)

ADVERSARIAL = [name for name in DEFENSES if name != "standard"]

#: How far the accuracy under PGD-20 at the final prediction falls at least, in points, under the strong attack. CAS fell by
#: 21.6, and half of that is asked for; adversarial training itself falls by 3.
MASKED = {"CAS": 10.0}


class Found(NamedTuple):
    """A defense's training, and percent right under the strong attacks; none where PGD-20 is trusted."""

    trained: Trained
    strong: dict[str, float]


@pytest.fixture(scope="session")
def found() -> dict[str, Found]:
    """Every defense, trained beside the others."""
    workers = min(os.cpu_count() or 1, len(DEFENSES))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        trained = dict(zip(DEFENSES, pool.map(train, DEFENSES), strict=True))
        attacked = dict(zip(MASKED, pool.map(strong, [trained[n] for n in MASKED], [trained["AT"]] * len(MASKED)), strict=True))
    return {name: Found(trained[name], attacked.get(name, {})) for name in DEFENSES}


@pytest.mark.parametrize("name", DEFENSES)
def test_digits_are_learnt(found: dict[str, Found], name: str) -> None:
    assert found[name].trained.accuracy["Natural"] > 85


def test_standard_training_falls(found: dict[str, Found]) -> None:
    assert found["standard"].trained.accuracy["PGD-20"] < 10


def test_adversarial_training_helps(found: dict[str, Found]) -> None:
    assert found["AT"].trained.accuracy["PGD-20"] > found["standard"].trained.accuracy["PGD-20"] + 40


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_defense_helps(found: dict[str, Found], name: str) -> None:
    assert found[name].trained.accuracy["PGD-20"] >= found["standard"].trained.accuracy["PGD-20"] + 20


@pytest.mark.parametrize("name", ["standard", "AT"])
def test_more_iterations_are_stronger(found: dict[str, Found], name: str) -> None:
    accuracy = found[name].trained.accuracy
    assert accuracy["PGD-100"] <= accuracy["PGD-20"] + 2
    assert accuracy["PGD-20"] <= accuracy["FGSM"] + 2


@pytest.mark.parametrize("name", MASKED)
def test_masked_gradients_are_seen_through(found: dict[str, Found], name: str) -> None:
    assert found[name].trained.accuracy["PGD-20"] - found[name].strong["worst"] > MASKED[name]


def names(part: str) -> set[Any]:
    """The names in one part of the defenses' configurations."""
    return {getattr(getattr(configuration(defense), part), "name", None) for defense in DEFENSES}


def test_no_defense_is_left_out() -> None:
    assert names("module") == {*MODULE.entries}
    assert names("objective") == {*OBJECTIVE.entries}
    assert names("attack") == {None, *TRAINING_ATTACK.entries}
