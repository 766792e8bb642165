"""Views that were damaged, deleted, copied, moved, or given what they refuse: they are mended, and stop nothing."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

import advsweep
from benchmarks.views import _evaluations, _trial, key_of, make_record
from orchestrator.api.shown import numbers_of
from orchestrator.api.views import sync_mlflow, sync_optuna
from orchestrator.errors import Unavailable
from orchestrator.record.store import Store
from orchestrator.tracking.mlflow_database import connect, is_damage
from orchestrator.tracking.mlflow_view import MlflowView
from orchestrator.tracking.optuna_storage import open_own, open_storage
from orchestrator.tracking.optuna_view import OptunaView
from orchestrator.tracking.set_aside import set_aside

TRIALS = 4
CONFIG = json.dumps({"training": {"epochs": 3}})
STUDY = "synthetic/beta (paper)"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A record, with views that show it: they take seconds to create."""
    store = Store(str(tmp_path_factory.mktemp("shown") / "storage"))
    make_record(store, TRIALS, epochs=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert sync_mlflow(store).written == f"{TRIALS + 1} runs updated"  # and a table
    sync_optuna(store)
    return store


@pytest.fixture
def store(shown, tmp_path, monkeypatch):
    """A copy of the record and of its views."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(shown.root, tmp_path / "storage")
    return Store(str(tmp_path / "storage"))


def runs(store):
    """Return the runs of trials by key."""
    client = connect(f"sqlite:///{store.root}/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name("synthetic").experiment_id], "tags.`advsweep.trial` != ''")
    by_key = {run.data.tags["advsweep.trial"]: run for run in found}
    assert len(by_key) == len(found)
    return by_key


def files(folder):
    """Return the bytes of every file of a folder, but of locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


# --- MLflow's database --------------------------------------------------------------------------------------------------


def overwrite(database, begin, length):
    with open(database, "r+b") as file:
        file.seek(begin)
        file.write(os.urandom(length))


DAMAGES = {
    "no database": lambda database: database.write_bytes(b"x" * 5000),
    "header": lambda database: overwrite(database, 0, 100),
    "cut": lambda database: os.truncate(database, database.stat().st_size // 2),
    "pages": lambda database: overwrite(database, 4096, database.stat().st_size - 4096),
}


def test_a_damaged_database_is_set_aside_and_made_anew(store):
    database = Path(store.root) / "mlflow.db"
    DAMAGES["pages"](database)
    damaged = database.read_bytes()
    result = sync_mlflow(store)
    assert result.notes == (f"{database} was damaged; it is kept as mlflow.db.damaged, and made anew from the record",)
    assert database.with_name("mlflow.db.damaged").read_bytes() == damaged
    assert {run.info.status for run in runs(store).values()} == {"FINISHED"}
    assert runs(store).keys() == {key_of(number) for number in range(TRIALS)}
    again = sync_mlflow(store)
    assert (again.written, again.notes) == ("0 runs updated", ())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_every_damage_is_told_from_other_errors(store, damage):
    database = Path(store.root) / "mlflow.db"
    damage(database)
    with pytest.raises(Unavailable) as error:
        connect(f"sqlite:///{database}")
    assert is_damage(error.value.__cause__)


def test_what_is_set_aside_is_kept_under_a_free_name(tmp_path):
    database, log = tmp_path / "mlflow.db", tmp_path / "mlflow.db-wal"
    for ending in (".damaged", ".damaged-2", ".damaged-3"):
        database.write_text(ending)
        log.write_text(ending)
        assert set_aside(database, log, tmp_path / "absent") == tmp_path / f"mlflow.db{ending}"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"{name}{ending}": ending
        for name in ("mlflow.db", "mlflow.db-wal")
        for ending in (".damaged", ".damaged-2", ".damaged-3")
    }


def test_a_database_that_is_damaged_during_a_sweep_is_made_anew(store):
    view = MlflowView.open(store)
    view.sync(live=())
    (Path(store.root) / "mlflow.db").write_bytes(b"x" * 5000)
    assert view.sync(live=()) == TRIALS
    assert len(view.notes) == 1
    assert view.sync(live=()) == 0
    assert len(runs(store)) == TRIALS


def test_a_database_that_the_user_named_is_left_as_it_is(store, monkeypatch, tmp_path):
    theirs = tmp_path / "theirs.db"
    theirs.write_bytes(b"x" * 5000)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{theirs}")
    with pytest.raises(Unavailable, match="cannot be reached"):
        sync_mlflow(store)
    assert theirs.read_bytes() == b"x" * 5000


@pytest.mark.parametrize("opened", [False, True], ids=["before", "during a sweep"])
def test_an_experiment_that_was_deleted_is_restored(store, opened):
    before = {key: run.info.run_id for key, run in runs(store).items()}
    view = MlflowView.open(store)
    if opened:
        view.sync(live=())
    client = connect(f"sqlite:///{store.root}/mlflow.db")
    client.delete_experiment(client.get_experiment_by_name("synthetic").experiment_id)
    view.sync(live=())
    assert {key: run.info.run_id for key, run in runs(store).items()} == before


def test_a_run_that_was_deleted_is_made_anew(store):
    connect(f"sqlite:///{store.root}/mlflow.db").delete_run(runs(store)[key_of(1)].info.run_id)
    assert MlflowView.open(store).sync(live=()) == 1
    assert len(runs(store)) == TRIALS


# --- what MLflow refuses ------------------------------------------------------------------------------------------------


def test_a_long_parameter_is_cut_and_the_whole_is_in_a_file(store):
    config = {"long": "x" * 7000, "braces {}": "[a=b]"}
    store.write_trial(_trial(key_of(0), json.dumps(config), 0, 2))
    runs_before = runs(store)
    connect(f"sqlite:///{store.root}/mlflow.db").delete_run(runs_before[key_of(0)].info.run_id)
    view = MlflowView.open(store)
    assert (view.sync(live=()), view.notes) == (1, [])
    run = runs(store)[key_of(0)]
    assert run.data.params == {"long": "x" * 6000, "braces __": "[a=b]"}
    client = connect(f"sqlite:///{store.root}/mlflow.db")
    assert json.loads(Path(client.download_artifacts(run.info.run_id, "config.json")).read_text()) == config


def test_a_trial_that_mlflow_refuses_stops_no_other(store):
    client = connect(f"sqlite:///{store.root}/mlflow.db")
    for run in runs(store).values():
        client.delete_run(run.info.run_id)
    for number in (0, 2):
        store.write_trial(_trial(key_of(number), json.dumps({"..": 1}), 0, 2))
    view = MlflowView.open(store)
    assert view.sync(live=()) == TRIALS - 2
    (note,) = view.notes
    assert note.startswith(f"MLflow does not show trial {key_of(0)}: ")
    assert note.endswith(", nor 1 more trials")
    assert "\n" not in note
    store.write_trial(_trial(key_of(0), "{}", 0, 2))
    store.write_trial(_trial(key_of(2), "{}", 0, 2))
    assert view.sync(live=(), only={key_of(0), key_of(2)}) == 2
    assert view.notes == []


def test_a_damaged_file_of_a_trial_stops_no_other(store):
    store.write_trial(_trial(key_of(1), "{}", 0, 2))
    store.write_trial(_trial(key_of(3), "{}", 0, 2))
    (file,) = (Path(store.root) / "trials" / key_of(1)).glob("trial-*")
    file.write_bytes(file.read_bytes()[:-1])
    view = MlflowView.open(store)
    assert view.sync(live=()) == 1
    assert str(file) in view.notes[0]


# --- what is sent -------------------------------------------------------------------------------------------------------


class Recorded:
    """A client that keeps its calls."""

    def __init__(self, client):
        self._client = client
        self.calls = []

    tracking_uri = property(lambda self: self._client.tracking_uri)

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append((name, args))
            return getattr(self._client, name)(*args, **kwargs)

        return call

    def metrics(self):
        """Return the names and steps of the metrics that were sent."""
        return [(metric.key, metric.step) for name, args in self.calls if name == "log_batch" for metric in args[1]]


def test_metrics_are_sent_once(store):
    client = Recorded(connect(f"sqlite:///{store.root}/mlflow.db"))
    key = key_of(TRIALS - 1)
    store.write_trial(_trial(key, "{}", 0, 3))
    MlflowView(client, store).sync(live={key})
    assert {step for _, step in client.metrics()} == {3}, "epochs 1 and 2 are there"
    client.calls.clear()
    more = {**_evaluations(key, 50, 3)[0], "evaluation": "another", "attack_spec": json.dumps({"name": "square"})}
    store.write_evaluations(key, "y", [more])
    MlflowView(client, store).sync(live={key})
    assert client.metrics() == [("best/square", 3)]


def test_a_trial_that_is_trained_anew_is_sent_anew(store):
    client = Recorded(connect(f"sqlite:///{store.root}/mlflow.db"))
    again = _trial(key_of(0), "{}", 0, 2)
    store.write_trial(again | {"created": again["updated"]})
    MlflowView(client, store).sync(live=())
    assert {step for name, step in client.metrics() if name == "lr"} == {1, 2}


def test_with_nothing_to_do_runs_are_looked_up_and_nothing_else_is_asked(store):
    client = Recorded(connect(f"sqlite:///{store.root}/mlflow.db"))
    assert MlflowView(client, store).sync(live=()) == 0
    assert [name for name, _ in client.calls] == ["get_experiment_by_name"]


# --- copies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [False, True], ids=["copied", "moved"])
def test_a_storage_that_was_copied_or_moved_writes_nothing_where_it_came_from(store, tmp_path, moved):
    before = {key: run.info.run_id for key, run in runs(store).items()}
    there, here = Path(store.root), tmp_path / "another" / "place"
    here.parent.mkdir()
    (shutil.move if moved else shutil.copytree)(there, here)
    left = files(there) if not moved else None
    copy = Store(str(here))
    client = MlflowClient(f"sqlite:///{here}/mlflow.db")
    client.delete_run(before[key_of(0)])  # so that it is written with its files again
    copy.write_trial(_trial(key_of(1), CONFIG, 0, 3))
    sync_mlflow(copy)
    sync_optuna(copy)
    assert (files(there) if there.exists() else None) == left
    found = runs(copy)
    assert found[key_of(1)].info.run_id == before[key_of(1)], "it is the same database, and not a new one"
    for run in found.values():
        assert run.info.artifact_uri.startswith(f"{here}/mlflow-artifacts/synthetic/")
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["config.json"]
    with closing(sqlite3.connect(here / "mlflow.db")) as connection:
        assert not [line for line in connection.iterdump() if f"{there}/" in line]


# --- Optuna's journal ---------------------------------------------------------------------------------------------------


def optuna_trials(store, name=STUDY):
    return optuna.load_study(study_name=name, storage=open_storage(f"{store.root}/optuna.journal")).get_trials()


TEARS = {
    "last line": lambda lines: b"".join(lines)[:-30],
    "last line, then more": lambda lines: b"".join(lines[:-1]) + lines[-1][:40] + lines[-1],
    "zeros": lambda lines: b"".join(lines) + bytes(512),
    "middle": lambda lines: b"".join(lines[:3]) + b"\0\n" + b"".join(lines[4:]),
    "garbage": lambda lines: b"\xff" * 100,
}


@pytest.mark.parametrize("tear", TEARS.values(), ids=TEARS)
def test_a_torn_journal_is_set_aside_and_made_anew(store, tear):
    journal = Path(store.root) / "optuna.journal"
    torn = tear(journal.read_bytes().splitlines(keepends=True))
    journal.write_bytes(torn)
    result = sync_optuna(store)
    assert result.notes == (f"{journal} was damaged; it is kept as optuna.journal.damaged, and made anew from the record",)
    assert journal.with_name("optuna.journal.damaged").read_bytes() == torn
    assert {trial.user_attrs["trial"] for trial in optuna_trials(store)} == {key_of(number) for number in range(TRIALS)}
    again = sync_optuna(store)
    assert (again.written, again.notes) == ("0 trials reported to Optuna", ())


def test_a_search_survives_a_torn_line(store):
    journal = Path(store.root) / "optuna.journal"
    search = optuna.create_study(study_name="own/search", storage=open_storage(str(journal)))
    search.add_trial(optuna.create_trial(value=1.0))
    with open(journal, "ab") as file:
        file.write(b'{"op_code": 4, "worker')
    storage, notes = open_own(store)
    assert len(notes) == 1
    assert optuna.load_study(study_name="own/search", storage=storage).best_value == 1


def test_a_journal_that_the_user_named_is_left_as_it_is(store, tmp_path):
    theirs = tmp_path / "theirs.journal"
    theirs.write_bytes(b"x\nx\n")
    with pytest.raises(Unavailable, match="cannot be reached"):
        OptunaView.open(str(theirs), store, numbers_of(store.uri))
    assert theirs.read_bytes() == b"x\nx\n"


# --- sync ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["mlflow.db", "optuna.journal"])
def test_an_error_of_sync_is_one_line_and_the_other_view_is_updated(store, view):
    for name in ("mlflow.db", "optuna.journal"):
        (Path(store.root) / name).unlink()
    (Path(store.root) / view).mkdir()
    with pytest.raises(Unavailable) as error:
        advsweep.sync(store.root)
    assert "\n" not in str(error.value)
    assert view in str(error.value)
    if view == "mlflow.db":
        assert len(optuna_trials(store)) == TRIALS
    else:
        assert len(runs(store)) == TRIALS
