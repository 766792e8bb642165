"""Attacks that are transferred from a study's first row."""

from dataclasses import replace

import pytest

from analysis.record.schema import Status
from orchestrator.planning.baseline import from_baseline
from orchestrator.record.recorded import Recorded
from search_spaces.settings import Eps
from tests.support.tiny_study import DEFENSE, EPOCHS, STUDY, jobs, tiny_plan
from trainables.config import FGSM, Transfer, evaluation_key

ATTACK = {"name": "fgsm", "eps": Eps(1 / 2)}
OTHER = replace(STUDY, name="tiny/other", factors=(replace(DEFENSE, levels=DEFENSE.levels[1:]),))


def trained(made, *labels):
    """Mark the trials of these labels as trained in a plan."""
    return made.against({t.key: Recorded(Status.FINISHED, "", EPOCHS) for t in made.trials if t.label in labels})


def added(made, studies=(STUDY,), checkpoint="last"):
    """List the attacks that are added to each trial, by its label."""
    more = from_baseline(made, studies, ATTACK, checkpoint)
    return {new.label: new.evaluations[len(old.evaluations) :] for old, new in zip(made.trials, more.trials, strict=True)}


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_every_other_row_is_attacked_from_the_first_at_its_own_seed(checkpoint):
    made = trained(tiny_plan(seeds=2), "Vanilla seed 0", "Vanilla seed 1")
    found = added(made, checkpoint=checkpoint)
    assert {label: len(evaluations) for label, evaluations in found.items()} == {
        f"{arm} seed {seed}": arm != "Vanilla" for seed in (0, 1) for arm in ("Vanilla", "CAS", "CIFS")
    }
    for trial in made.trials:
        for evaluation in found[trial.label]:
            source = next(t.key for t in made.trials if t.label == f"Vanilla seed {trial.config.seed}")
            attack = Transfer(source=source, checkpoint=checkpoint, attack=FGSM(eps=0.05))
            assert (evaluation.attack, evaluation.checkpoint) == (attack, checkpoint)
            assert evaluation.key == evaluation_key(trial.key, checkpoint, attack)
            assert evaluation.label == "fgsm from Vanilla"


def test_rows_get_no_attack_from_an_untrained_baseline():
    found = added(trained(tiny_plan(seeds=2), "Vanilla seed 1", "CAS seed 0"))
    assert {label for label, evaluations in found.items() if evaluations} == {"CAS seed 1", "CIFS seed 1"}


def test_each_study_has_its_own_baseline():
    made = trained(tiny_plan(studies=(STUDY, OTHER)), "Vanilla seed 0", "CAS seed 0")
    found = added(made, (STUDY, OTHER))
    labels = {label: [e.label for e in evaluations] for label, evaluations in found.items()}
    assert labels == {
        "Vanilla seed 0": [],
        "CAS seed 0": ["fgsm from Vanilla"],
        "CIFS seed 0": ["fgsm from Vanilla", "fgsm from CAS"],
    }
    # Twice the same study is the same evaluations.
    twice = (STUDY, replace(STUDY, name="tiny/again"))
    made = trained(tiny_plan(studies=twice), "Vanilla seed 0")
    assert [len(e) for e in added(made, twice).values()] == [0, 1, 1]


def test_nothing_is_transferred_between_data_sets():
    made = trained(tiny_plan(), "Vanilla seed 0")
    cas = next(t for t in made.trials if t.label == "CAS seed 0")
    mnist = cas.config.model_copy(update={"data": cas.config.data.model_copy(update={"dataset": "mnist"})})
    made = replace(made, trials=tuple(replace(t, config=mnist) if t is cas else t for t in made.trials))
    assert {label for label, evaluations in added(made).items() if evaluations} == {"CIFS seed 0"}


def test_recorded_transfers_are_not_run_again(store):
    made = trained(tiny_plan(), "Vanilla seed 0")
    more = from_baseline(made, (STUDY,), ATTACK, "last")
    done = more.against(
        {t.key: Recorded(Status.FINISHED, "", EPOCHS, frozenset(e.key for e in t.evaluations)) for t in more.trials}
    )
    assert done.to_run == ()
    assert len(jobs(more, store)) == 3
