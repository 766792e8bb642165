"""Real digits in the demo's settings: what training does to robustness has to look as everywhere in the literature."""

from typing import Any

import pytest

from orchestrator.plan import plan
from search_spaces.catalog import find
from trainables.config import Runtime
from trainables.trial import Trial

STANDARD = {"objective.name": "standard", "attack": None}

pytestmark = pytest.mark.timeout(300)


def accuracies(overrides: dict[str, Any]) -> dict[str, float]:
    """Percent right under each column of CIFS Table 1, of its Vanilla row's last checkpoint with seed 0."""
    made = plan(find("cifs/robustness"), "demo", seeds=1, overrides=overrides)
    [trial] = [t for t in made.trials if t.label == "Vanilla seed 0"]
    training = Trial(trial.config, Runtime(device="cpu", threads=1))
    while training.epoch < trial.config.training.epochs:
        training.step()
    last = training.weights()
    return {
        evaluation.label: 100 * training.evaluate(evaluation.attack, last).accuracy
        for evaluation in trial.evaluations
        if evaluation.checkpoint == "last"
    }


@pytest.fixture(scope="module")
def standard() -> dict[str, float]:
    return accuracies(STANDARD)


@pytest.fixture(scope="module")
def adversarial() -> dict[str, float]:
    return accuracies({})


def test_digits_are_learned(standard, adversarial):
    assert min(standard["Natural"], adversarial["Natural"]) > 90


def test_adversarial_training_helps(standard, adversarial):
    assert standard["PGD-20"] < 10
    assert adversarial["PGD-20"] > standard["PGD-20"] + 40


@pytest.mark.parametrize("training", ["standard", "adversarial"])
def test_more_iterations_are_stronger(training, request):
    found = request.getfixturevalue(training)
    assert found["PGD-100"] <= found["PGD-20"] + 2
    assert found["PGD-20"] <= found["FGSM"] + 2
