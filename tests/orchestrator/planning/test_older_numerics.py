"""After a built-in's numerics is raised, results under the older one stay in the record, and are shown and marked."""

import pytest

from analysis.record.schema import Status
from orchestrator.record.recorded import Recorded
from tests.support.tiny_study import tiny_plan
from trainables import config
from trainables.config.terms import registry
from trainables.config.terms.registry import ATTACK, MODULE


@pytest.fixture
def raised():
    """Return a function that raises a built-in's numerics until the end of the test."""
    restore = registry.restorable()

    def raise_(kind, name):
        kind.add(registry.renumbered(kind.entries[name], kind.entries[name].version + 1))

    yield raise_
    restore()


def test_a_module_retrains_what_has_it_and_nothing_else(raised):
    before = {t.label: t.key for t in tiny_plan().trials}
    raised(MODULE, "cas")
    after = {t.label: t for t in tiny_plan().trials}
    changed = {label for label, trial in after.items() if trial.key != before[label]}
    assert changed == {label for label, trial in after.items() if trial.config.module.name == "cas"} != set()
    for label in changed:
        assert after[label].older[before[label]] == ("module 'cas'",)


def test_an_attack_retrains_nothing_and_is_run_again(raised):
    attack, other = config.PGD(eps=0.1, step=0.1, iterations=3), config.FGSM(eps=0.1)
    keys = config.attack_key(attack), config.attack_key(other)
    trials = [t.key for t in tiny_plan().trials]
    stream = config.evaluation_stream(attack)
    raised(ATTACK, "pgd")
    assert [t.key for t in tiny_plan().trials] == trials
    assert config.attack_key(attack) != keys[0]
    assert config.attack_key(other) == keys[1]
    assert config.older_keys(attack)[keys[0]] == ("attack 'pgd'",)
    assert config.evaluation_stream(attack) == stream


def test_parts_of_an_ensemble_are_parts_of_its_version(raised):
    ensemble = config.AutoAttack(eps=0.1)
    before = config.attack_key(ensemble)
    raised(ATTACK, "square")
    assert config.attack_key(ensemble) != before


def test_a_plan_counts_what_is_recorded_under_older_numerics(raised):
    old = {t.key: t for t in tiny_plan().trials}
    raised(MODULE, "cas")
    made = tiny_plan()
    recorded = {key: Recorded(Status.FINISHED, epochs=trial.config.training.epochs) for key, trial in old.items()}
    expected = sum(trial.config.module.name == "cas" for trial in old.values())
    assert made.against(recorded).outdated == {"module 'cas'": expected}
    assert {*recorded} <= {*made.keys}


def test_the_manifest_knows_the_older_keys(raised):
    old = {t.label: t for t in tiny_plan().trials}
    raised(MODULE, "cas")
    made = tiny_plan()
    (manifest,) = made.manifests
    for trial in made.trials:
        before = old[trial.label]
        found = manifest.older.get(trial.key, ())
        if trial.config.module.name == "cas":
            assert {before.key, *before.older} <= {*found}
        else:
            assert found == (*before.older,)
