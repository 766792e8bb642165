"""Optuna as a view of the record: trials are added once, and a study is created anew where the record changed."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

from analysis.record.files import BrokenRecordError
from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn, Read
from analysis.record.schema import Status
from orchestrator.api.shown import numbers_of
from orchestrator.api.tables import build_table
from orchestrator.errors import Unavailable
from orchestrator.record.doctor import examine
from orchestrator.record.store import Store
from orchestrator.tracking.optuna_storage import default_url, open_storage
from orchestrator.tracking.optuna_study import CHOICES, Shown, distributions
from orchestrator.tracking.optuna_view import SHOWN, OptunaView
from orchestrator.tracking.tracker import Tracker

NATURAL, PGD = ManifestColumn("Natural", False), ManifestColumn("PGD-20", True)
#: Columns that are no objectives.
OTHERS = (
    ManifestColumn("PGD-20, module 1", True, head="1"),
    ManifestColumn("added", True, added=True),
    ManifestColumn("of some rows", True),
    ManifestColumn("cost", False, kind="cost"),
)
CREATED = datetime(2026, 11, 20, 12, 30, 15, 123000, tzinfo=UTC)
EXAMPLES = 20
BETAS = ("0", "2")
NAME = "mine/blocks (demo)"

#: Right answers of 20 under PGD-20: the module matters much, the objective a little.
ROBUST = {"none": 4, "CAS": 10, "CIFS": 16}
BETTER = {"AT": 0, "TRADES": 1}

SILENT = pytest.mark.filterwarnings("ignore:PedAnovaImportanceEvaluator computes")


def row(key, **changed):
    made = {
        "trial": key,
        "status": Status.FINISHED,
        "reason": "",
        "ending": None,
        "epochs": 3,
        "best_epoch": 2,
        "seed": 0,
        "device": "cpu",
    }
    made |= {"config": '{"training": {"epochs": 3}}', "versions": "{}", "seconds": 1.5}
    return made | {"created": CREATED, "updated": CREATED + timedelta(minutes=5)} | changed


def evaluation(key, attack, right, checkpoint="last"):
    made = {"evaluation": f"{key}-{checkpoint}-{attack}", "trial": key, "checkpoint": checkpoint, "epoch": 3, "attack": attack}
    made |= {"attack_name": attack, "attack_spec": json.dumps({"name": attack}), "beta_atk": "", "head": "final"}
    made |= {"accuracy": right / EXAMPLES}
    made |= {"ranks": np.array([0] * right + [5] * (EXAMPLES - right), np.uint16), "complete": False, "broken": None}
    return made | {"distance": None, "class_accuracy": [0.5], "seconds": 1.0, "finished": CREATED}


def evaluate(store, key, natural, robust):
    """Write a trial's evaluations: natural, and PGD-20 with two beta_atk; the best checkpoint has one more right answer."""
    rows = [
        evaluation(key, attack, right + more, checkpoint)
        for checkpoint, more in (("last", 0), ("best", 1))
        for attack, right in (("natural", natural), ("pgd0", robust + 1), ("pgd2", robust))
    ]
    store.write_evaluations(key, "x", rows)


def key_of(objective, module, seed):
    return f"{objective}-{module}-{seed}".lower()


def arm(objective, module, seeds=2):
    natural = (Read("natural"),)
    reads = {"Natural": natural, "PGD-20": tuple(Read(f"pgd{beta}", beta) for beta in BETAS), "added": natural}
    reads |= {"PGD-20, module 1": (Read("pgd0"),)} | ({"of some rows": (Read("x"),)} if module == "CAS" else {})
    trials = {str(seed): key_of(objective, module, seed) for seed in range(seeds)}
    return ManifestArm((objective, module), trials, reads, training=("cost",))


def manifest(**changes):
    arms = tuple(arm(objective, module) for objective, module in product(BETTER, ("CAS", "CIFS")))
    values = {"study": "mine/blocks", "aliases": (), "reference": "", "title": "Blocks", "profile": "demo", "variant": "demo"}
    values |= {"overrides": {}, "selection": "validation", "checkpoint": "both", "rows_by_beta": False, "printed": ()}
    values |= {"factors": ("objective", "module"), "columns": (NATURAL, PGD, *OTHERS), "created": "2026-11-20T10:00:00"}
    return Manifest(**values | {"arms": (*arms, arm("AT", "none"))} | changes)


@pytest.fixture
def store(store):
    """A record of finished trials, one that failed, one that is partly trained, and one that is partly evaluated."""
    store.create()
    store.write_manifest(manifest())
    for made in manifest().arms:
        objective, module = made.labels
        for seed, key in made.trials.items():
            store.write_trial(row(key))
            right = ROBUST[module] + BETTER[objective] + int(seed)
            evaluate(store, key, right + 1, right)
    store.write_trial(row("at-cas-1", status=Status.FAILED, reason="out of memory", epochs=1))
    store.write_trial(row("at-cifs-1", status=Status.UNFINISHED, epochs=2))
    store.write_evaluations("at-none-1", "x", [evaluation("at-none-1", "natural", 18)])
    return store


@pytest.fixture(params=["{}/optuna.journal", "sqlite:///{}/optuna.db"], ids=["journal", "sqlite"])
def storage(request, tmp_path):
    return open_storage(request.param.format(tmp_path))


def view(storage, store):
    return OptunaView(storage, store, numbers_of(store.uri))


def study_of(storage, name=NAME):
    return optuna.load_study(study_name=name, storage=storage)


def rounded(values):
    """Round percentages, so that they compare exactly; None for none."""
    return values and [round(value, 9) for value in values]


def shown(storage, name=NAME):
    """Return everything of a study's trials, by key."""
    trials = study_of(storage, name).trials
    found = {t.user_attrs["trial"]: (t.state, t.params, rounded(t.values), t.user_attrs, t.datetime_complete) for t in trials}
    assert len(found) == len(trials), "a trial was added twice"
    return found


def identities(storage):
    """Return Optuna's ids of the study and its trials, which change when they are created again."""
    return [(study._study_id, [t._trial_id for t in study.trials]) for study in [study_of(storage)]]


def complete(storage):
    return {t.user_attrs["trial"]: t for t in study_of(storage).get_trials(states=(TrialState.COMPLETE,))}


# --- trials and values --------------------------------------------------------------------------------------------------


def test_each_arm_and_seed_that_ended_has_a_trial(storage, store):
    assert view(storage, store).sync(live=()) == 8
    assert [s.study_name for s in optuna.get_all_study_summaries(storage)] == [NAME]
    study = study_of(storage)
    assert study.metric_names == ["Natural", "PGD-20"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MAXIMIZE"]
    assert study.user_attrs[SHOWN] == {
        "title": "Blocks",
        "checkpoint": "last",
        "columns": ["Natural", "PGD-20"],
        "factors": {"objective": ["AT", "TRADES"], "module": ["CAS", "CIFS", "none"]},
    }
    trials = {t.user_attrs["trial"]: t for t in study.trials}
    every = {key for made in manifest().arms for key in made.trials.values()}
    assert trials.keys() == every - {"at-cifs-1", "at-none-1"}
    for key, trial in trials.items():
        objective, module, seed = key.split("-")
        assert {name: label.lower() for name, label in trial.params.items()} == {"objective": objective, "module": module}
        assert {name: d.choices for name, d in trial.distributions.items()} == {
            "objective": ("AT", "TRADES"),
            "module": ("CAS", "CIFS", "none"),
        }
        assert trial.user_attrs["seed"] == int(seed)
        assert trial.user_attrs["arm"].lower() == f"{objective} {module}"
        assert trial.datetime_start.astimezone(UTC) == CREATED
        assert trial.duration == timedelta(minutes=5)
    failed = trials.pop("at-cas-1")
    assert (failed.state, failed.values, failed.user_attrs["reason"]) == (TrialState.FAIL, None, "out of memory")
    assert {t.state for t in trials.values()} == {TrialState.COMPLETE}
    assert not any("reason" in t.user_attrs for t in trials.values())


@pytest.mark.parametrize("checkpoint", ["last", "best", "both"])
def test_values_are_those_of_the_table(storage, store, checkpoint):
    plain = replace(manifest(), columns=(NATURAL, PGD), checkpoint=checkpoint)
    bare = [replace(made, reads={c.label: made.reads[c.label] for c in (NATURAL, PGD)}, training=()) for made in plain.arms]
    plain = replace(plain, arms=tuple(bare))
    store.write_manifest(plain)
    view(storage, store).sync(live=())
    table = build_table(store.uri, plain, "last" if checkpoint == "both" else checkpoint, "minimum")
    printed = {
        key_of(line.labels[0], line.labels[1], seed): [cell.values[seed] for cell in line.cells]
        for line in table.blocks[0].rows
        for seed in line.seeds
        if all(seed in cell.values for cell in line.cells)  # a study of Optuna has no missing values
    }
    assert {key: t.values for key, t in complete(storage).items()} == printed
    assert len(printed) == 7
    right = 16 + 1 + 1 + (checkpoint == "best")
    assert rounded(printed["trades-cifs-1"]) == [100 * (right + 1) / EXAMPLES, 100 * right / EXAMPLES]


def test_a_trial_that_failed_after_its_evaluations_has_its_values(storage, store):
    store.write_trial(row("at-cas-0", status=Status.FAILED, reason="out of memory"))
    view(storage, store).sync(live=())
    assert shown(storage)["at-cas-0"][:3:2] == (TrialState.COMPLETE, [55, 50])


def test_each_variant_is_a_study(storage, store):
    store.write_manifest(manifest(variant="demo@training.lr=0.5", columns=(PGD,), arms=manifest().arms[:1]))
    assert view(storage, store).sync(live=()) == 8 + 2
    assert len(study_of(storage, "mine/blocks (demo@training.lr=0.5)").trials) == 2


def test_a_trial_of_two_rows_is_added_for_each(storage, store):
    twin = replace(arm("AT", "CAS"), labels=("AT", "CAS, by another way"))
    store.write_manifest(manifest(columns=(PGD,), arms=(arm("AT", "CAS"), twin)))
    assert view(storage, store).sync(live=()) == 4
    assert view(storage, store).sync(live=()) == 0


@pytest.mark.parametrize("nothing", [{"columns": OTHERS}, {"arms": ()}])
def test_a_study_without_accuracies_or_rows_is_not_shown(storage, store, nothing):
    store.write_manifest(manifest(**nothing))
    assert view(storage, store).sync(live=()) == 0
    assert optuna.get_all_study_summaries(storage) == []


def test_a_study_of_one_row_is_shown_too(storage, store):
    store.write_manifest(manifest(factors=(), columns=(PGD,), arms=(replace(arm("AT", "CIFS"), labels=()),)))
    assert view(storage, store).sync(live=()) == 1
    (trial,) = study_of(storage).trials
    assert (trial.params, trial.values, trial.user_attrs["arm"]) == ({}, [80], "Blocks")


def of_labels(*labels):
    """Return the manifest of a study of one factor with these labels."""
    arms = [replace(arm("AT", "CAS"), labels=(label,), trials={"0": f"t{i}"}) for i, label in enumerate(labels)]
    return manifest(factors=("beta",), columns=(PGD,), arms=tuple(arms))


@pytest.mark.parametrize(
    ("labels", "low", "high", "values"),
    [
        (("0", "2", "0.5"), 0, 2, [0, 2, 0.5]),
        (("1e-3", "1"), 0.001, 1, [0.001, 1]),
        ((*map(str, range(CHOICES)), "-"), 0, CHOICES - 1, [*range(CHOICES), None]),
    ],
)
def test_levels_that_are_numbers_are_numbers(storage, store, labels, low, high, values):
    store.write_manifest(of_labels(*labels))
    for i in range(len(labels)):
        store.write_trial(row(f"t{i}"))
        evaluate(store, f"t{i}", 10, 10)
    arms = of_labels(*labels).arms
    keys = [f"t{i}-last-" for i in range(len(labels))]
    assert len(arms) == len(keys)
    view(storage, store).sync(live=())
    trials = sorted(study_of(storage).trials, key=lambda t: int(t.user_attrs["trial"][1:]))
    assert [t.params.get("beta") for t in trials] == values
    found = [t.distributions["beta"] for t in trials if t.params]
    assert {(d.low, d.high) for d in found} == {(low, high)}
    assert view(storage, store).sync(live=()) == 0


def test_many_labels_are_no_choices_and_few_are():
    few, many = [f"name {i}" for i in range(CHOICES)], [f"name {i}" for i in range(CHOICES + 1)]
    assert distributions(of_labels(*few))["beta"].choices == tuple(few)
    assert distributions(of_labels(*many)) == {}
    assert distributions(of_labels("0", "inf"))["beta"].choices == ("0", "inf")


def test_a_journal_grows_in_proportion_to_its_trials(store, tmp_path):
    def size(rows):
        labels = [f"{i / 8:g}" for i in range(rows)]
        url = f"{tmp_path}/{rows}.journal"
        planned = Shown.of(of_labels(*labels))
        study = optuna.create_study(study_name="all", storage=open_storage(url))
        before = Path(url).stat().st_size
        study.add_trials([planned.trial(r, row(r.trial), [50.0]) for r in planned.repetitions.values()])
        return (Path(url).stat().st_size - before) / rows

    assert size(200) < 1.1 * size(50) < 1100


@pytest.mark.parametrize(
    ("evaluator", "sign"),
    # PED-ANOVA explains low values, and warns about it.
    [(FanovaImportanceEvaluator(seed=0), 1), pytest.param(PedAnovaImportanceEvaluator(), -1, marks=SILENT)],
    ids=["fanova", "ped-anova"],
)
@pytest.mark.parametrize("column", [0, 1])
def test_importance_evaluators_find_what_matters(storage, store, evaluator, sign, column):
    view(storage, store).sync(live=())
    found = get_param_importances(study_of(storage), evaluator=evaluator, target=lambda t: sign * t.values[column])
    assert list(found) == ["module", "objective"]
    assert found["module"] > 1.5 * found["objective"]


# --- updates ------------------------------------------------------------------------------------------------------------


def test_a_second_sync_adds_nothing(storage, store):
    one = view(storage, store)
    assert one.sync(live=()) == 8
    before = shown(storage), identities(storage)
    assert one.sync(live=()) == view(storage, store).sync(live=None) == one.sync(live=(), only={"at-cas-0", "unknown"}) == 0
    assert (shown(storage), identities(storage)) == before


def test_trials_that_end_later_are_added(storage, store):
    one = view(storage, store)
    one.sync(live=())
    before = shown(storage), identities(storage)[0][1]
    store.write_trial(row("at-cifs-1"))
    evaluate(store, "at-none-1", 6, 5)
    assert one.sync(live=(), only={"at-none-1"}) == 1
    assert one.sync(live=()) == 1
    assert shown(storage).items() >= before[0].items()
    assert identities(storage)[0][1][:8] == before[1]
    values = {key: rounded(t.values) for key, t in complete(storage).items()}
    assert (values["at-cifs-1"], values["at-none-1"]) == ([90, 85], [30, 25])


def synced_anew(storage, store):
    """Sync after a change, and check that the result is that of an empty storage; return the trials."""
    view(storage, store).sync(live=())
    fresh = optuna.storages.InMemoryStorage()
    view(fresh, store).sync(live=())
    assert shown(storage) == shown(fresh)
    assert view(storage, store).sync(live=()) == 0
    return shown(storage)


def test_a_trial_that_failed_and_finished_later(storage, store):
    view(storage, store).sync(live=())
    store.write_trial(row("at-cas-1", status=Status.UNFINISHED, epochs=2))
    assert "at-cas-1" not in synced_anew(storage, store)
    store.write_trial(row("at-cas-1"))
    state, _, values, attributes, _ = synced_anew(storage, store)["at-cas-1"]
    assert (state, values) == (TrialState.COMPLETE, [60, 55])
    assert "reason" not in attributes


def test_a_study_is_made_anew_at_the_end_of_a_sweep_alone(storage, store):
    """A journal grows by all trials every time."""
    view(storage, store).sync(live=())
    before = identities(storage)
    store.write_trial(row("at-cas-1"))
    assert view(storage, store).sync(live=(), only={"at-cas-1"}) == 0
    assert identities(storage) == before
    assert synced_anew(storage, store)["at-cas-1"][0] == TrialState.COMPLETE


def test_a_trial_that_failed_otherwise(storage, store):
    view(storage, store).sync(live=())
    store.write_trial(row("at-cas-1", status=Status.FAILED, reason="diverged", epochs=1))
    assert synced_anew(storage, store)["at-cas-1"][3]["reason"] == "diverged"


def test_a_trial_that_was_trained_anew(storage, store):
    view(storage, store).sync(live=())
    store.write_trial(row("at-cas-0", created=CREATED + timedelta(days=1), updated=CREATED + timedelta(days=2)))
    evaluate(store, "at-cas-0", 19, 10)
    assert synced_anew(storage, store)["at-cas-0"][2] == [95, 50]


def test_a_seed_is_a_parameter_where_it_is_a_factor(storage, store):
    """Rows that are seeds, and one that has several: each trial has its own, an integer."""
    arms = tuple(
        replace(
            made, labels=(made.labels[0], made.labels[1], "-" if made.labels[1] == "none" else f"seed = {seed}"), trials=trials
        )
        for made in manifest().arms
        for seed, trials in (
            [("", made.trials)] if made.labels[1] == "none" else [(seed, {seed: key}) for seed, key in made.trials.items()]
        )
    )
    store.write_manifest(manifest(arms=arms, factors=("objective", "module", "seed")))
    view(storage, store).sync(live=())
    trials = optuna.load_study(study_name=NAME, storage=storage).trials
    assert len(trials) > 2
    assert {type(t.distributions["seed"]).__name__ for t in trials} == {"IntDistribution"}
    assert all(t.params["seed"] == t.user_attrs["seed"] for t in trials)
    assert {t.params["seed"] for t in trials} == {0, 1}


def test_a_label_that_changed(storage, store):
    view(storage, store).sync(live=())
    arms = tuple(replace(made, labels=(made.labels[0], made.labels[1].replace("none", "-"))) for made in manifest().arms)
    store.write_manifest(manifest(arms=arms))
    assert synced_anew(storage, store)["at-none-0"][1] == {"objective": "AT", "module": "-"}


def test_columns_that_changed(storage, store):
    view(storage, store).sync(live=())
    store.write_manifest(manifest(columns=(PGD, *OTHERS)))
    assert synced_anew(storage, store)["at-cas-0"][2] == [50]
    # One of the same name may read something else now.
    arms = tuple(replace(made, reads={**made.reads, "PGD-20": (Read("pgd0", "0"),)}) for made in manifest().arms)
    store.write_manifest(manifest(columns=(PGD, *OTHERS), arms=arms))
    assert synced_anew(storage, store)["at-cas-0"][2] == [55]


def test_another_checkpoint(storage, store):
    view(storage, store).sync(live=())
    store.write_manifest(manifest(checkpoint="best"))
    assert synced_anew(storage, store)["at-cas-0"][2] == [60, 55]


def test_fewer_rows_and_seeds(storage, store):
    view(storage, store).sync(live=())
    store.write_manifest(manifest(arms=(arm("AT", "CAS", seeds=1), arm("AT", "none", seeds=1))))
    assert synced_anew(storage, store).keys() == {"at-cas-0", "at-none-0"}


def test_a_trial_that_is_there_twice_is_shown_once_anew(storage, store):
    """A remote storage has no lock against other machines."""
    view(storage, store).sync(live=())
    study_of(storage).add_trial(study_of(storage).trials[0])
    synced_anew(storage, store)


def test_two_processes_take_turns(storage, store):
    threads = [threading.Thread(target=view(storage, store).sync, kwargs={"live": ()}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shown(storage)) == 8


# --- interrupted --------------------------------------------------------------------------------------------------------


class Cut(Exception):
    """Stands for a connection that broke."""


def cutting(storage, at):
    """Let the storage raise an error after its n-th write, as if the process died."""
    writes = ("create_new_study", "delete_study", "set_study_user_attr", "set_study_system_attr", "create_new_trial")
    kind, count = type(storage), iter(range(1, 10**6))

    def breaking(name):
        def write(self, *args, **kwargs):
            answer = getattr(kind, name)(self, *args, **kwargs)
            if next(count) == at:
                raise Cut
            return answer

        return write

    storage.__class__ = type(kind.__name__, (kind,), {name: breaking(name) for name in writes})
    return storage


@pytest.mark.parametrize("at", range(1, 9))
def test_a_sync_that_was_cut_anywhere_is_completed_by_the_next(tmp_path, store, at):
    """The study has to be created anew: it is deleted, created, marked and named, and then its trials are added."""
    url = f"{tmp_path}/optuna.journal"
    view(open_storage(url), store).sync(live=())
    store.write_manifest(manifest(columns=(PGD, *OTHERS)))
    with pytest.raises(Cut):
        view(cutting(open_storage(url), at), store).sync(live=())
    synced_anew(open_storage(url), store)


# --- other studies ------------------------------------------------------------------------------------------------------


def test_another_study_of_the_same_name_is_not_changed(storage, store):
    store.write_manifest(manifest(study="mine/other"))
    theirs = optuna.create_study(storage=storage, study_name=NAME, directions=["maximize", "maximize"])
    theirs.optimize(lambda trial: (trial.suggest_float("lr", 0, 1), 0.5), n_trials=2)
    optuna.create_study(storage=storage, study_name="mine/search").set_user_attr("by", "hand")
    before = [t.values for t in theirs.trials]
    with pytest.raises(Unavailable, match=r"'mine/blocks \(demo\)' was not made by `advsweep run` and is left as it is"):
        view(storage, store).sync(live=())
    assert [t.values for t in study_of(storage).trials] == before
    assert study_of(storage).user_attrs == {}
    assert study_of(storage, "mine/search").user_attrs == {"by": "hand"}
    assert len(study_of(storage, "mine/other (demo)").trials) == 8, "the other studies are updated nevertheless"


@pytest.mark.parametrize("directions", [["minimize"], ["maximize"] * 3, ["maximize", "minimize"]])
def test_an_empty_study_with_other_directions_is_not_changed(storage, store, directions):
    optuna.create_study(storage=storage, study_name=NAME, directions=directions)
    with pytest.raises(Unavailable, match="is left as it is"):
        view(storage, store).sync(live=())
    assert [d.name.lower() for d in study_of(storage).directions] == directions


def test_a_study_of_another_storage_is_not_changed(storage, store, tmp_path):
    view(storage, store).sync(live=())
    before = shown(storage)
    other = Store(str(tmp_path / "other"))
    other.create()
    other.write_manifest(manifest())
    with pytest.raises(Unavailable, match="shows another --storage and is left as it is"):
        view(storage, other).sync(live=())
    assert shown(storage) == before


def test_a_storage_that_has_lost_its_identity_makes_its_own_studies_anew(store, tmp_path):
    def own():
        return OptunaView.open(default_url(store), store, numbers_of(store.uri))

    added = own().sync(live=())
    journal = open_storage(default_url(store))
    optuna.create_study(storage=journal, study_name="mine/search").set_user_attr("by", "hand")
    Path(store.root, "identity").write_bytes(b"damaged")
    with pytest.raises(BrokenRecordError, match="identity is damaged"):
        own().sync(live=())
    tracker = Tracker(own())
    tracker.start()
    assert not tracker.stop()
    assert tracker.remedy == "`advsweep doctor` says what mends that file, and then `advsweep sync` updates it"
    (finding,) = (found for found in examine(store).damaged if found.path == "identity")
    assert finding.remedy.startswith("delete it: `advsweep sync` writes a new one")
    Path(store.root, "identity").unlink()
    assert own().sync(live=()) == added
    assert own().sync(live=()) == 0
    assert examine(store).damaged == ()
    assert study_of(open_storage(default_url(store)), "mine/search").user_attrs == {"by": "hand"}


def test_a_storage_that_was_moved_keeps_its_studies(storage, store, tmp_path):
    view(storage, store).sync(live=())
    moved = (tmp_path / "storage").rename(tmp_path / "moved")
    assert view(storage, Store(str(moved))).sync(live=()) == 0


# --- while a sweep runs -------------------------------------------------------------------------------------------------


def test_optuna_follows_a_sweep(storage, store, capfd):
    tracker = Tracker(view(storage, store), interval=0.02)
    tracker.start()
    store.write_trial(row("at-cifs-1"))
    tracker.changed("at-cifs-1", live=False)
    assert tracker.stop()
    assert capfd.readouterr() == ("", ""), "output of Optuna would break the live view"
    assert (tracker.name, tracker.error, len(shown(storage))) == ("Optuna", "", 9)


def test_it_waits_for_no_other_view(storage, store):
    with store.exclusively("sync", part="mlflow"):
        assert view(storage, store).sync(live=()) == 8


def test_the_error_of_a_broken_record_names_the_trial(storage, store):
    (file,) = Path(store.root, "trials", "at-cas-0").glob("evaluations-*")
    file.write_bytes(b"damaged")
    evaluate(store, "at-none-1", 6, 5)
    tracker = Tracker(view(storage, store))
    tracker.start()
    assert not tracker.stop()
    assert "at-cas-0" in tracker.error
