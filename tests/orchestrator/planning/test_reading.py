"""What every kind of column reads, and what is planned for it."""

import json
from dataclasses import asdict, replace

import pytest

from analysis.record.manifest import Read
from analysis.record.schema import Status
from orchestrator.errors import BadInput
from orchestrator.planning.demand import SOURCE_SEED
from orchestrator.record.recorded import Recorded
from search_spaces.column import Area, Column, Cost, Ensemble, Measured
from search_spaces.profiles import NATURAL, pgd
from search_spaces.settings import Eps, SourceSettings
from search_spaces.study import Panel
from tests.support.tiny_study import DEFENSE, STUDY, tiny_plan
from trainables.config import DatasetInfo, Dimensions, Natural, NoModule, Perturbations, Transfer, attack_key, measure_key
from trainables.config.terms.registry import DATA

PGD = Column("PGD", pgd(2, step=Eps(1 / 2)), beta_atk=None)
CW = Column("CW", {"name": "cw", "eps": Eps(), "step": Eps(), "iterations": 1}, beta_atk=("0",))


def planned(*columns, **fields):
    """The plan of one row, CIFS's, and that row's manifest."""
    only = replace(DEFENSE, levels=DEFENSE.levels[2:])
    made = tiny_plan(studies=(replace(STUDY, factors=(only,), columns=columns, **fields),))
    (arm,) = made.manifests[0].arms
    return made, arm


def test_an_ensemble_reads_what_its_columns_read_and_asks_for_nothing_more():
    made, arm = planned(NATURAL, PGD, CW, Ensemble("Worst", ("PGD", "CW")))
    alone, _ = planned(NATURAL, PGD, CW)
    assert made.trials[0].evaluations == alone.trials[0].evaluations
    assert arm.reads["Worst"] == tuple(replace(read, column=label) for label in ("PGD", "CW") for read in arm.reads[label])
    assert len(arm.reads["Worst"]) == 4  # three beta_atk, and one


def test_an_area_has_an_attack_for_each_eps_and_natural_accuracy_at_0():
    attack = {"name": "pgd", "eps": Eps(), "step": Eps(1 / 2), "iterations": 2}
    made, arm = planned(Area("AUC", attack, grid=(Eps(0.5), Eps(1), 0.3)))
    evaluations = {attack_key(e.attack): e.attack for e in made.trials[0].evaluations}
    read = {read.eps: evaluations[read.attack] for read in arm.reads["AUC"]}
    assert sorted(read) == [0, 0.05, 0.1, 0.3]
    assert isinstance(read.pop(0.0), Natural)
    assert all((a.eps, a.step) == (eps, eps / 2) for eps, a in read.items())
    assert len(evaluations) == 4


def test_the_smallest_change_is_looked_for_once():
    made, arm = planned(Area("AUC", {"name": "deepfool", "eps": Eps()}, grid=(Eps(0.5), Eps(2)), smallest=True))
    (attack,) = {e.attack for e in made.trials[0].evaluations}
    assert attack.eps == 0.2
    assert arm.reads["AUC"] == tuple(Read(attack_key(attack), "2", eps) for eps in (0.0, 0.05, 0.2))  # CIFS's own beta


def test_a_measure_is_measured_on_both_checkpoints():
    settings = {"name": "perturbations", "attack": CW.attack, "reference": PGD.attack}
    made, arm = planned(Measured("Distance", settings, "distance"), panels=(Panel("t", {"name": "dimensions"}),))
    (trial,) = made.trials
    assert [(type(m.measure), m.checkpoint) for m in trial.measurements] == [
        (kind, checkpoint) for kind in (Perturbations, Dimensions) for checkpoint in ("last", "best")
    ]
    assert trial.evaluations == ()
    distance, panel = (trial.measurements[i].measure for i in (0, 2))
    assert (arm.measures, arm.pictures) == ({"Distance": measure_key(distance)}, {"t": measure_key(panel)})
    assert (arm.reads, arm.columns) == ({}, {"Distance"})
    assert distance.attack.beta_atk == "2"  # CIFS's own


def test_the_trainings_cost_needs_nothing_but_the_training():
    made, arm = planned(NATURAL, Cost("an epoch"), Cost("natural", NATURAL.attack))
    # Accuracy alone would do with what another run found on its way, which has that run's seconds.
    assert [(e.attack.name, e.complete) for e in made.trials[0].evaluations] == [("natural", True)] * 2
    assert arm.training == ("an epoch",)
    assert arm.reads == dict.fromkeys(("Natural", "natural"), (Read(attack_key(Natural())),))
    assert arm.columns == {"Natural", "an epoch", "natural"}


# --- transferred --------------------------------------------------------------------------------------------------------

SOURCE = SourceSettings({"module.name": "none", "training.epochs": 1})
TRANSFERRED = Column("PGD (BB)", {"name": "transfer", "source": SOURCE, "attack": PGD.attack})


def test_a_source_is_one_training_and_comes_first():
    made = tiny_plan(seeds=2, studies=(replace(STUDY, columns=(NATURAL, TRANSFERRED)),))
    source, *others = made.trials
    assert (source.config.seed, source.config.module, source.config.training.epochs) == (SOURCE_SEED, NoModule(), 1)
    assert len(others) == 6
    assert SOURCE_SEED not in {trial.config.seed for trial in others}
    transferred = [e for t in others for e in t.evaluations if isinstance(e.attack, Transfer)]
    assert {e.attack.source for e in transferred} == {source.key}
    assert len(transferred) == 12
    assert made.requested == 7
    assert source.evaluations == ()


def test_attacks_wait_for_their_source():
    made = tiny_plan(studies=(replace(STUDY, columns=(NATURAL, TRANSFERRED)),))
    made.check_sources({})  # the plan trains it
    waiting = {e.attack.name for t in made.ready().trials for e in t.evaluations}
    assert waiting == {"natural"}
    trained = made.against({made.trials[0].key: Recorded(Status.FINISHED)})
    assert trained.ready() == trained


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
def test_a_source_learns_from_the_rows_own_data(dataset):
    made = tiny_plan(studies=(replace(STUDY, columns=(TRANSFERRED,), fixed={"data.dataset": dataset}),))
    assert {trial.config.data.dataset for trial in made.trials} == {dataset}


TARGETED = {"name": "apgd", "eps": Eps(), "loss": "targeted-dlr"}


@pytest.mark.parametrize(
    ("column", "place"),
    [
        (Column("AA", TARGETED), "attack.name = 'apgd'"),
        (Area("AUC", TARGETED, grid=(Eps(1),)), "attack.name = 'apgd'"),
        (Cost("Cost", TARGETED), "attack.name = 'apgd'"),
        (
            Measured("S", {"name": "sensitivity", "attack": TARGETED}, "ratio"),
            "measure sensitivity: attack.name = 'apgd'",
        ),
    ],
)
def test_an_attack_that_needs_more_classes_than_there_are_is_refused(column, place, monkeypatch):
    planned(column)
    monkeypatch.setitem(DATA.infos, "digits", DatasetInfo(3, 1, 8, 1437, 360))
    with pytest.raises(BadInput, match=f"{place}: needs data of 4 or more classes as it is set; data.dataset = 'digits' has 3"):
        planned(column)


def test_autoattack_on_three_classes_is_planned_without_its_targeted_parts_and_says_so(monkeypatch):
    column = Column("AA", {"name": "autoattack", "eps": Eps()})
    assert planned(column)[1].remarks == ()
    monkeypatch.setitem(DATA.infos, "digits", DatasetInfo(3, 1, 8, 1437, 360))
    made, arm = planned(column)
    assert arm.remarks == ("autoattack on data of 3 classes has the parts apgd (ce), apgd (dlr), fab, square",)
    assert {e.attack.classes for trial in made.trials for e in trial.evaluations if e.attack.name == "autoattack"} == {3}
    assert type(arm).from_tree(json.loads(json.dumps(asdict(arm)))) == arm
