"""A part of what studies need: trials and evaluations of selected rows and columns, and manifests of whole studies."""

from dataclasses import replace

import pytest

from orchestrator.errors import BadInput
from orchestrator.planning.expansion import plan
from orchestrator.planning.plan import Plan
from orchestrator.planning.selection import Selection, parse_where
from orchestrator.record.recorded import Recorded
from search_spaces.column import Column, Ensemble
from search_spaces.factor import scalar
from search_spaces.settings import Eps, SourceSettings
from tests.support.tiny_study import DEFENSE, STUDY


def made(studies=(STUDY,), columns=(), **where) -> Plan:
    return plan(studies, "demo", seeds=2, selected=Selection.of(where, columns))


def wanted(plan: Plan) -> dict[tuple[str, int], set[str]]:
    """Return the labels of the evaluations of every planned trial."""
    return {(next(iter(t.arms.values())), t.config.seed): {e.label for e in t.evaluations} for t in plan.trials}


WHOLE = made()


def undated(plan: Plan):
    return [replace(manifest, created="") for manifest in plan.manifests]


def test_rows_are_selected_by_the_labels_of_a_factor():
    part = made(defense=("CAS", "Van*"))
    assert wanted(part) == {key: labels for key, labels in wanted(WHOLE).items() if key[0] != "CIFS"}
    assert part.counts()["trials_requested"] == 4


def test_columns_are_selected_by_patterns():
    part = made(columns=["Natural", "F*"])
    assert wanted(part) == {key: {"Natural", "FGSM"} for key in wanted(WHOLE)}
    assert part.counts()["evaluations_requested"] == part.counts()["evaluations_unique"] == 6 * 2 * 2


def test_the_manifest_is_of_the_whole_study():
    assert undated(made(columns=["Natural"], defense="CAS")) == undated(WHOLE)


def test_a_later_plan_of_all_completes_a_part():
    part = made(columns=["Natural"], defense="CAS")
    done = {
        t.key: Recorded("finished", "", t.config.training.epochs, frozenset(e.key for e in t.evaluations)) for t in part.trials
    }
    left = WHOLE.against(done)
    assert left.counts()["trials_to_run"] == 4
    assert left.counts()["evaluations_to_run"] == WHOLE.counts()["evaluations_to_run"] - sum(
        len(t.evaluations) for t in part.trials
    )
    assert part.against(done).to_run == ()


def test_a_label_may_be_cut_to_its_value():
    width = scalar("width", "w", "model.width", levels=(4, 8), default=4, distribution=STUDY.factors[0].distribution)
    study = replace(STUDY, factors=(DEFENSE, width))
    for label in ("w = 8", "8", "*8"):
        assert {t.config.model.width for t in made([study], width=label).trials} == {8}
    assert len(made([study], width="8", defense="CAS").trials) == 2


def test_a_study_without_a_selected_row_is_left_out():
    other = replace(STUDY, name="tiny/other", factors=(replace(DEFENSE, name="what"),))
    part = made([STUDY, other], what="CAS")
    assert [manifest.study for manifest in part.manifests] == ["tiny/other"]
    assert {next(iter(t.arms)) for t in part.trials} == {"tiny/other"}


def test_an_ensemble_reads_the_columns_that_are_not_selected():
    study = replace(STUDY, columns=(*STUDY.columns, Ensemble("Worst", ("FGSM", "PGD"))))
    part = made([study], columns=["Worst"], defense="Vanilla")
    assert [len(t.evaluations) for t in part.trials] == [4, 4]  # two attacks on two checkpoints


def test_a_source_of_attacks_is_trained_only_for_a_selected_column():
    source = SourceSettings({"module.name": "none"})
    column = Column("transfer", {"name": "transfer", "source": source, "attack": {"name": "fgsm", "eps": Eps()}})
    study = replace(STUDY, columns=(*STUDY.columns, column))
    assert len(made([study]).trials) == 7
    assert len(made([study], columns=["transfer"]).trials) == 7
    part = made([study], columns=["Natural"])
    assert (len(part.trials), part.counts()["trials_requested"]) == (6, 6)
    assert undated(part) == undated(made([study]))


@pytest.mark.parametrize(
    ("columns", "where", "said"),
    [
        ((), {"defence": "CAS"}, "--where defence=CAS: no such factor in these studies; did you mean 'defense'?"),
        ((), {"defense": "CSA"}, "--where defense=CSA: no row has that label; allowed: Vanilla, CAS, CIFS"),
        (["AutoAttack"], {}, "--columns 'AutoAttack': no column matches; allowed: Natural, FGSM, PGD"),
    ],
)
def test_what_is_not_there_is_refused(columns, where, said):
    with pytest.raises(BadInput) as refused:
        made(columns=columns, **where)
    assert str(refused.value) == said


def test_rows_that_no_study_has_together_are_refused():
    other = replace(STUDY, name="tiny/other", factors=(replace(DEFENSE, name="what"),))
    with pytest.raises(BadInput, match="no row has all of defense, what"):
        made([STUDY, other], defense="CAS", what="CAS")


def test_texts_are_parsed():
    assert parse_where(["beta=0.1", "beta = β = 1", "module=CAS"]) == {"beta": ["0.1", "β = 1"], "module": ["CAS"]}
    for text in ("beta", "=1", "beta="):
        with pytest.raises(BadInput, match="write FACTOR=LABEL"):
            parse_where([text])
