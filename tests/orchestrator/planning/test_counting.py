"""Which columns count by the last iterate, and which evaluations are complete for it."""

import pytest

from orchestrator.planning.expansion import plan
from search_spaces.catalog import STUDIES
from trainables.config import is_prefix


def manifest_of(name: str, profile: str):
    (found,) = plan([STUDIES[name]], profile, seeds=1).manifests
    return found


def test_beside_a_printed_number_in_profile_paper_alone():
    by_last = {p: [c.label for c in manifest_of("cifs/table-1", p).columns if c.last] for p in ("paper", "short", "demo")}
    assert by_last == {"paper": ["FGSM", "PGD-20", "C&W", "PGD-100"], "short": [], "demo": []}
    assert [c.label for c in manifest_of("fsr/table-s4", "paper").columns if c.last] == [
        *("FGSM", "PGD-20", "PGD-100", "C&W", "Ensemble"),
    ]
    assert not any(c.last for c in manifest_of("cas/table-11", "paper").columns), "AutoAttack counts no steps"
    assert not any(c.last for c in manifest_of("cifs/figure-a1", "paper").columns), "nothing is printed there"


@pytest.mark.parametrize("name", ["cifs/table-1", "cas/table-1", "cas/table-11"])
def test_its_evaluations_are_complete_where_an_attack_counts_steps_on_a_network_that_does_not_draw(name):
    printed = {number.column for number in STUDIES[name].printed()}
    for profile in ("paper", "demo"):
        for trial in plan([STUDIES[name]], profile, seeds=1).trials:
            for e in trial.evaluations:
                counted = e.attack.gradient_steps is not None and not trial.config.module.draws
                assert e.complete == (profile == "paper" and counted and e.label in printed - {"Natural"}), (trial.label, e)


def test_a_shorter_attack_is_answered_by_the_longer_complete_one():
    """PGD-20 is the beginning of PGD-100, also where both are complete."""
    from orchestrator.cost.estimate import to_be_run

    (trial, *_) = plan([STUDIES["cifs/table-1"]], "paper", seeds=1).trials
    complete = [e for e in trial.missing if e.complete and e.checkpoint == "last"]
    assert any(is_prefix(a.attack, b.attack) for a in complete for b in complete)
    run = {e.label for e in to_be_run(trial)}
    assert "PGD-100" in run
    assert "PGD-20" not in run
