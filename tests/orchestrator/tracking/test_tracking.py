"""MLflow as a view of the record: on SQLite and on a real server, interrupted anywhere, and with the server down."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from analysis.record.fields import flatten
from analysis.record.schema import Ending
from orchestrator.errors import Unavailable, one_line
from orchestrator.execution.job import write_failure
from orchestrator.execution.provenance.origin import Origin
from orchestrator.execution.work import Work
from orchestrator.record.report import End
from orchestrator.record.store import Store
from orchestrator.tracking.mlflow_database import connect, default_uri
from orchestrator.tracking.mlflow_runs import SYNCED_TAG, Experiments
from orchestrator.tracking.mlflow_view import MlflowView
from orchestrator.tracking.tracker import Tracker
from tests.support.tiny_study import finish, jobs, tiny_plan

VANILLA, CAS, CIFS = (trial.key for trial in tiny_plan().trials)


# --- a record and its view ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A record with a finished trial, one that was stopped after an epoch, and one that failed."""
    store = Store(str(tmp_path_factory.mktemp("record")))
    vanilla, cas, cifs = jobs(tiny_plan(), store)
    finish(replace(vanilla, origin=Origin("c0ffee", "")))
    Work(cas).advance()
    Work(cifs).advance()
    write_failure(store, cifs, End(Ending.OUT_OF_MEMORY, "out of memory: 3 GiB"))
    return store


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A SQLite database with MLflow's tables, which take seconds to create."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@contextmanager
def serving(folder, database):
    """Run an MLflow server on this machine; give its process and its URI."""
    shutil.copy(database, folder / "mlflow.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory, database):
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, database) as (process, uri):
        yield process, uri, folder


@pytest.fixture
def store(template, tmp_path):
    """A copy of the record, under a unique paper's name, so that tests can share a server."""
    store = Store(str(tmp_path / "storage"))
    shutil.copytree(template.root, store.root, dirs_exist_ok=True)
    return publish(store, f"paper-{uuid.uuid4().hex[:8]}")


def publish(store, paper, **changed):
    """Write the tiny study's manifest under this paper's name."""
    (manifest,) = tiny_plan(**changed).manifests
    store.write_manifest(replace(manifest, study=f"{paper}/table"))
    return store


@pytest.fixture
def sqlite(database, tmp_path):
    """A client of a SQLite database in the storage."""
    (tmp_path / "storage").mkdir(exist_ok=True)
    shutil.copy(database, tmp_path / "storage" / "mlflow.db")
    return connect(f"sqlite:///{tmp_path}/storage/mlflow.db")


@pytest.fixture(params=["sqlite", "server"])
def client(request):
    return request.getfixturevalue("sqlite") if request.param == "sqlite" else connect(request.getfixturevalue("server")[1])


@pytest.fixture
def reader(client, request):
    """A client that reads what ``client`` writes directly from the database: a run's history takes many calls."""
    if client.tracking_uri.startswith("sqlite"):
        return client
    return connect(f"sqlite:///{request.getfixturevalue('server')[2]}/mlflow.db")


def paper(store):
    return store.manifests()[0].study.split("/")[0]


def find(client, store, **kind):
    """Return the paper's runs by trial key; ``kind`` may ask for deleted ones too."""
    experiment = client.get_experiment_by_name(paper(store))
    runs = client.search_runs([experiment.experiment_id], **kind) if experiment else []
    found = {run.data.tags["advsweep.trial"]: run for run in runs if "advsweep.trial" in run.data.tags}
    assert len(found) == sum("advsweep.trial" in run.data.tags for run in runs), "a trial has two runs"
    return found


def artifacts(client, run):
    """Return the texts of a run's files, by path."""
    paths = [file.path for file in client.list_artifacts(run.info.run_id)]
    return {path: Path(client.download_artifacts(run.info.run_id, path)).read_text(encoding="utf-8") for path in paths}


def history(client, run):
    """Return the whole history of a run's metrics: name to (step, time, value)."""
    return {
        name: sorted((m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
    }


def shown(client, store):
    """Return all that MLflow shows of the paper's trials, without the ids of runs."""
    return {
        key: (run.info.status, run.data.params, history(client, run), run.data.tags | {"mlflow.user": ""}, run.info.end_time)
        for key, run in find(client, store).items()
    }


def expected_metrics(store, key):
    """Return the metrics that the record holds of a trial: name to (step, value)."""
    metrics: dict[str, Any] = {}
    for row in store.read_epochs(key):
        for name in ("lr", "train_loss", "train_accuracy", "natural_accuracy", "robust_accuracy", "images_per_second"):
            metrics.setdefault(name, []).append((row["epoch"], row[name]))
    for row in store.read_evaluations(key):
        if row["head"] == "final":
            spec = json.loads(row["attack_spec"])
            name = "-".join(str(part) for part in (spec["name"], spec.get("iterations")) if part)
            beta = f"/beta_atk {row['beta_atk']}" if row["beta_atk"] else ""
            metrics[f"{row['checkpoint']}/{name}{beta}"] = [(row["epoch"], row["accuracy"])]
            if beta:
                least = f"{row['checkpoint']}/{name}/minimum"
                metrics[least] = min(metrics.get(least, [(0, 2.0)]), [(row["epoch"], row["accuracy"])], key=lambda m: m[0][1])
    return metrics


# --- what a run shows ---------------------------------------------------------------------------------------------------


def test_each_trial_has_a_run_with_all_that_the_record_holds(client, reader, store):
    assert MlflowView(client, store).sync(live=()) == 3
    runs = find(reader, store)
    assert runs.keys() == {VANILLA, CAS, CIFS}
    assert {key: run.info.status for key, run in runs.items()} == {VANILLA: "FINISHED", CAS: "KILLED", CIFS: "FAILED"}
    assert {run.info.run_name for run in runs.values()} == {"Vanilla seed 0", "CAS seed 0", "CIFS seed 0"}
    for key, run in runs.items():
        row = store.read_trial(key)
        config = json.loads(row["config"])
        assert run.data.params == {name: str(value) for name, value in flatten(config).items()}
        assert run.data.params["module.name"] in {"none", "cas", "cifs"}
        assert json.loads(artifacts(client, run)["config.json"]) == config
        assert run.info.start_time == int(row["created"].timestamp() * 1000)
        assert run.info.end_time == int(row["updated"].timestamp() * 1000)
        tags = {name: value for name, value in run.data.tags.items() if name.startswith("advsweep.")}
        assert tags.pop("advsweep.synced")
        assert json.loads(tags.pop("advsweep.versions")) == json.loads(row["versions"])
        assert tags == {
            "advsweep.trial": key,
            "advsweep.studies": f"{paper(store)}/table",
            f"advsweep.arm.{paper(store)}/table": run.info.run_name.removesuffix(" seed 0"),
            "advsweep.device": "cpu",
            "advsweep.reason": row["reason"],
            "advsweep.failed": "",
            **{f"advsweep.{name}": str(row[name]) for name in ("host", "user", "wall_seconds", "peak_memory")},
            **({"advsweep.commit": "c0ffee"} if key == VANILLA else {}),
        }
    assert runs[CIFS].data.tags["advsweep.reason"] == "out of memory: 3 GiB"


def test_a_run_says_which_attacks_failed_until_they_have_a_number(client, reader, store):
    """The last reason of each counts."""
    view, (first, *_) = MlflowView(client, store), store.read_evaluations(VANILLA)
    row = {"trial": VANILLA, "checkpoint": "best", "attack": "a"}
    for part, evaluation, label, reason, day in (
        ("1", "lacking", "PGD-20", "ValueError: NaN", 1),
        ("2", "lacking", "PGD-20", "MemoryError", 2),
        ("3", first["evaluation"], "Natural", "KeyError", 3),
    ):
        failure = {"evaluation": evaluation, "label": label, "reason": reason, "finished": datetime(2026, 11, day, tzinfo=UTC)}
        store.write_failures(VANILLA, part, [row | failure])
    view.sync(live=())
    assert find(reader, store)[VANILLA].data.tags["advsweep.failed"] == "PGD-20 (best): MemoryError"
    store.write_evaluations(VANILLA, "new", [{**first, "evaluation": "lacking", "ranks": [0], "accuracy": 1.0}])
    view.sync(live=())
    assert find(reader, store)[VANILLA].data.tags["advsweep.failed"] == ""


def test_every_epoch_is_a_step_and_every_evaluation_a_metric(client, reader, store):
    MlflowView(client, store).sync(live=())
    runs = find(reader, store)
    for key, run in runs.items():
        found = {name: [(step, value) for step, _, value in points] for name, points in history(reader, run).items()}
        expected = expected_metrics(store, key)
        assert found.keys() == expected.keys()
        for name, points in expected.items():
            assert found[name] == [(step, pytest.approx(value)) for step, value in points], name
    names = set(runs[VANILLA].data.metrics)
    for checkpoint in ("last", "best"):
        assert {f"{checkpoint}/natural", f"{checkpoint}/fgsm/beta_atk 0", f"{checkpoint}/pgd-2/minimum"} <= names
    assert [step for step, *_ in history(reader, runs[VANILLA])["robust_accuracy"]] == [1, 2, 3]


def test_the_minimum_is_over_beta_atk(sqlite, store):
    store.write_evaluations(
        CAS, "x", [evaluation(beta, accuracy) for beta, accuracy in (("0", 0.5), ("inf-1", 0.25), ("2", 0.75))]
    )
    MlflowView(sqlite, store).sync(live=())
    metrics = find(sqlite, store)[CAS].data.metrics
    assert {name: value for name, value in metrics.items() if "/" in name} == {
        "last/pgd-2/beta_atk 0": 0.5,
        "last/pgd-2/beta_atk inf-1": 0.25,
        "last/pgd-2/beta_atk 2": 0.75,
        "last/pgd-2/minimum": 0.25,
    }


def test_attacks_that_differ_in_eps_alone_have_different_names(sqlite, store):
    store.write_evaluations(CAS, "x", [evaluation("0", 0.5, eps=0.1), evaluation("0", 0.25, eps=0.2)])
    MlflowView(sqlite, store).sync(live=())
    metrics = find(sqlite, store)[CAS].data.metrics
    names = [name for name in metrics if name.endswith("beta_atk 0")]
    assert sorted(metrics[name] for name in names) == [0.25, 0.5]
    assert all(name.startswith("last/pgd-2-") for name in names)


def test_the_name_of_an_attack_on_validation_images_says_so(sqlite, store):
    store.write_evaluations(CAS, "x", [evaluation("0", 0.5), evaluation("0", 0.25, split="validation")])
    MlflowView(sqlite, store).sync(live=())
    metrics = find(sqlite, store)[CAS].data.metrics
    assert (metrics["last/pgd-2/beta_atk 0"], metrics["last/pgd-2-validation/beta_atk 0"]) == (0.5, 0.25)


def test_every_array_of_a_measure_is_a_metric(sqlite, store):
    row = {"trial": CAS, "checkpoint": "last", "epoch": 1, "measure_name": "dimensions", "seconds": 1.0}
    row |= {"finished": datetime.now(UTC)}
    one, other = (
        {"measurement": k, "measure": k, "measure_spec": json.dumps({"variance": v})} for k, v in (("a", 0.9), ("b", 0.99))
    )
    rows = [
        {**row, **one, "array": "units", "values": np.array(12.0)},
        {**row, **one, "array": "explained", "values": np.array([[1.0, np.nan], [2.0, 6.0]])},
        {**row, **other, "array": "units", "values": np.array(12.0)},
        {**row, **one, "array": "nothing", "values": np.array([np.nan])},
    ]
    store.write_measures(CAS, "x", rows)
    view = MlflowView(sqlite, store)
    view.sync(live=())
    metrics = {n: v for n, v in find(sqlite, store)[CAS].data.metrics.items() if "dimensions" in n}
    assert metrics.pop("last/dimensions/explained") == 3
    assert len(metrics) == 2
    assert all(name.startswith("last/dimensions/units-") and value == 12 for name, value in metrics.items())
    assert view.sync(live=()) == 0


def test_a_source_of_attacks_is_a_run_too(sqlite, store):
    (manifest,) = store.manifests()
    arms = tuple(replace(arm, trials={s: k for s, k in arm.trials.items() if k != CIFS}) for arm in manifest.arms)
    store.write_manifest(replace(manifest, arms=arms, beside={CIFS: "source of attacks"}))
    MlflowView(sqlite, store).sync(live=())
    tags = find(sqlite, store)[CIFS].data.tags
    assert tags[f"advsweep.arm.{paper(store)}/table"] == "source of attacks"


def evaluation(beta, accuracy, checkpoint="last", **fields):
    """Return a row of the record for an evaluation of PGD."""
    spec = {"name": "pgd", "iterations": 2, "eps": 0.1, "beta_atk": beta} | fields
    row = {"evaluation": uuid.uuid4().hex, "trial": CAS, "checkpoint": checkpoint, "epoch": 1, "attack": "k"}
    row |= {"attack_name": "pgd", "attack_spec": json.dumps(spec), "beta_atk": beta, "head": "final"}
    return row | {
        "accuracy": accuracy,
        "ranks": np.arange(100) >= 100 * accuracy,
        "seconds": 1.0,
        "finished": datetime.now(UTC),
    }


def test_a_trial_of_several_studies_is_one_run(sqlite, store):
    (manifest,) = store.manifests()
    store.write_manifest(replace(manifest, study=manifest.study.replace("table", "another")))
    MlflowView(sqlite, store).sync(live=())
    tags = find(sqlite, store)[VANILLA].data.tags
    assert tags["advsweep.studies"] == f"{paper(store)}/another, {paper(store)}/table"
    assert {tags[f"advsweep.arm.{paper(store)}/{slug}"] for slug in ("another", "table")} == {"Vanilla"}


def test_an_empty_record_has_no_runs(sqlite, store, tmp_path):
    empty = publish(Store(str(tmp_path / "empty")), paper(store))
    assert MlflowView(sqlite, empty).sync(live=()) == 0
    assert find(sqlite, empty) == {}


# --- updates ------------------------------------------------------------------------------------------------------------


def test_a_second_sync_writes_nothing(client, reader, store):
    view = MlflowView(client, store)
    assert view.sync(live=()) == 3
    before = shown(reader, store)
    assert view.sync(live=()) == 0
    assert MlflowView(client, store).sync(live=()) == 0
    assert view.sync(live=(), only=[VANILLA, CAS, "unknown"]) == 0
    assert shown(reader, store) == before


def test_writing_runs_again_doubles_nothing(sqlite, store):
    MlflowView(sqlite, store).sync(live=())
    before = shown(sqlite, store)
    for run in find(sqlite, store).values():
        sqlite.delete_tag(run.info.run_id, SYNCED_TAG)
    assert MlflowView(sqlite, store).sync(live=()) == 3
    assert shown(sqlite, store) == before


def test_a_run_follows_its_trial(client, reader, store):
    view = MlflowView(client, store)
    assert view.sync(live={CAS}) == 3
    run = find(reader, store)[CAS]
    assert (run.info.status, len(history(reader, run)["lr"])) == ("RUNNING", 1)
    work = Work(jobs(tiny_plan(), store)[0])
    work.advance()
    assert view.sync(live={CAS}, only={CAS}) == 1
    run = find(reader, store)[CAS]
    assert (run.info.status, len(history(reader, run)["lr"])) == ("RUNNING", 2)
    while not work.advance().done:
        pass
    assert view.sync(live={CAS}, only={CAS}) == 1  # it is evaluated while its trial is finished
    assert find(reader, store)[CAS].info.status == "RUNNING"
    assert view.sync(live=(), only={CAS}) == 1
    run = find(reader, store)[CAS]
    assert run.info.status == "FINISHED"
    found = {name: [(step, value) for step, _, value in points] for name, points in history(reader, run).items()}
    assert found == expected_metrics(store, CAS)


def test_only_the_given_trials_are_written(sqlite, store):
    assert MlflowView(sqlite, store).sync(live=(), only=[CAS]) == 1
    assert find(sqlite, store).keys() == {CAS}


@pytest.mark.parametrize(
    ("live", "statuses"),
    [
        ((), {VANILLA: "FINISHED", CAS: "KILLED", CIFS: "FAILED"}),
        (None, {VANILLA: "FINISHED", CAS: "RUNNING", CIFS: "FAILED"}),
        ({CAS, VANILLA}, {VANILLA: "RUNNING", CAS: "RUNNING", CIFS: "FAILED"}),
    ],
)
@pytest.mark.parametrize("before", [(), None, {VANILLA, CAS, CIFS}])
def test_a_status_is_that_of_the_record_unless_the_trial_runs(sqlite, store, before, live, statuses):
    """``before``: the trials that ran under a driver that was killed since."""
    MlflowView(sqlite, store).sync(live=before)
    MlflowView(sqlite, store).sync(live=live)
    assert {key: run.info.status for key, run in find(sqlite, store).items()} == statuses


def test_a_run_that_is_in_no_study_any_more_does_not_stay_running(sqlite, store):
    """After a crash a study may be run with fewer seeds: its manifest then names fewer trials."""
    MlflowView(sqlite, store).sync(live={CAS})
    (manifest,) = store.manifests()
    store.write_manifest(replace(manifest, arms=manifest.arms[:1]))
    MlflowView(sqlite, store).sync(live=())
    assert find(sqlite, store)[CAS].info.status == "KILLED"
    assert MlflowView(sqlite, store).sync(live=()) == 0


def test_other_runs_are_not_changed(sqlite, store):
    experiment = Experiments(sqlite).id(paper(store))
    theirs = [
        sqlite.create_run(experiment, run_name="by hand"),
        sqlite.create_run(experiment, tags={"advsweep.trial": "of another storage"}),
    ]
    MlflowView(sqlite, store).sync(live=())
    assert [sqlite.get_run(run.info.run_id).info.status for run in theirs] == ["RUNNING", "RUNNING"]


# --- interrupted --------------------------------------------------------------------------------------------------------


class Cut(Exception):
    """Stands for a connection that broke."""


class Breaking:
    """A client whose n-th call fails: before it reaches the server, or after the server has carried it out (``heard``)."""

    def __init__(self, client, at, heard):
        self._client, self._heard = client, heard
        self.at = at
        self.calls = []

    @property
    def tracking_uri(self):
        return self._client.tracking_uri

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append(name)
            breaks = len(self.calls) == self.at
            if breaks and not self._heard:
                raise Cut
            answer = getattr(self._client, name)(*args, **kwargs)
            if breaks:
                raise Cut
            return answer

        return call


@pytest.fixture
def alone(template, database, tmp_path):
    """Makes records of the finished trial alone, each with its own database."""

    def make(name):
        store = Store(str(tmp_path / name))
        shutil.copytree(f"{template.root}/trials/{VANILLA}", f"{store.root}/trials/{VANILLA}")
        shutil.copy(database, f"{store.root}/mlflow.db")
        return connect(f"sqlite:///{store.root}/mlflow.db"), publish(store, "paper")

    return make


@pytest.mark.parametrize(
    ("heard", "same"), [(False, True), (True, True), (True, False)], ids=["request lost", "answer lost", "new view"]
)
def test_a_sync_that_was_cut_anywhere_is_completed_by_the_next(alone, heard, same):
    client, store = alone("undisturbed")
    undisturbed = Breaking(client, 0, heard)
    MlflowView(undisturbed, store).sync(live=())
    assert {"create_run", "create_experiment", "log_batch", "log_dict", "set_terminated"} <= set(undisturbed.calls)
    expected = shown(client, store)
    for at, call in enumerate(undisturbed.calls, 1):
        client, store = alone(f"cut at {at}")
        view = MlflowView(Breaking(client, at, heard), store)
        with pytest.raises(Cut):
            view.sync(live=())
        # A sweep's tracker continues with the trials that changed; another process has a new view.
        if same:
            view.sync(live=(), only=[VANILLA])
        else:
            MlflowView(client, store).sync(live=())
        assert shown(client, store) == expected, f"cut at call {at}, {call}"
        assert MlflowView(client, store).sync(live=()) == 0


def test_a_run_whose_creation_was_not_answered_is_found_at_the_next_turn(alone, template):
    client, store = alone("a sweep")
    breaking = Breaking(client, 0, heard=True)
    view = MlflowView(breaking, store)
    view.sync(live=())
    shutil.copytree(f"{template.root}/trials/{CAS}", f"{store.root}/trials/{CAS}")
    breaking.at = len(breaking.calls) + 1
    with pytest.raises(Cut):
        view.sync(live={CAS}, only={CAS})
    assert breaking.calls[-1] == "create_run"
    assert view.sync(live={CAS}, only={CAS}) == 1
    assert {key: run.info.status for key, run in find(client, store).items()} == {VANILLA: "FINISHED", CAS: "RUNNING"}


def test_of_two_runs_of_a_trial_the_next_sync_leaves_one(sqlite, store):
    """A request that times out is sent again, though the server may have carried out the first one."""
    view = MlflowView(sqlite, store)
    view.sync(live=())
    before = shown(sqlite, store)
    for key in (VANILLA, CAS):
        sqlite.create_run(Experiments(sqlite).id(paper(store)), tags={"advsweep.trial": key})
    MlflowView(sqlite, store).sync(live=())
    assert shown(sqlite, store) == before


# --- tables -------------------------------------------------------------------------------------------------------------


def tables(client, store):
    """Return study, status and files of the runs that hold tables."""
    experiment = client.get_experiment_by_name(paper(store))
    runs = client.search_runs([experiment.experiment_id], "tags.`advsweep.study` != ''") if experiment else []
    return [(run.data.tags["advsweep.study"], run.info.status, artifacts(client, run)) for run in runs]


def test_a_study_has_one_run_with_its_table(client, reader, store):
    def made(text):
        return lambda manifest: {"table.md": text, "table.csv": manifest.study}

    view = MlflowView(client, store)
    study = f"{paper(store)}/table"
    assert view.sync_tables(made("one µ")) == 1
    assert tables(client, store) == [(f"{study} (demo)", "FINISHED", {"table.md": "one µ", "table.csv": study})]
    assert view.sync_tables(made("one µ")) == MlflowView(client, store).sync_tables(made("one µ")) == 0
    assert MlflowView(client, store).sync_tables(made("two")) == 0, "nothing that it is made from has changed"
    store.write_manifest(replace(store.manifests()[0], title="Another"))
    assert MlflowView(client, store).sync_tables(made("two")) == 1
    assert tables(client, store) == [(f"{study} (demo)", "FINISHED", {"table.md": "two", "table.csv": study})]
    view.sync(live=())
    assert find(reader, store).keys() == {VANILLA, CAS, CIFS}


def test_every_variant_of_a_study_has_its_own_table(sqlite, store):
    publish(store, paper(store), training__lr=0.5)
    assert MlflowView(sqlite, store).sync_tables(lambda manifest: {"table.md": manifest.variant}) == 2
    found = {study: files["table.md"] for study, _, files in tables(sqlite, store)}
    study = f"{paper(store)}/table"
    assert found == {f"{study} (demo)": "demo", f"{study} (demo@training.lr=0.5)": "demo@training.lr=0.5"}


def test_a_table_that_was_cut_anywhere_is_completed_by_the_next(alone):
    files = {"a.md": "a", "b.md": "b"}
    client, store = alone("undisturbed")
    undisturbed = Breaking(client, 0, heard=True)
    MlflowView(undisturbed, store).sync_tables(lambda _: files)
    assert undisturbed.calls.count("log_text") == 2
    expected = tables(client, store)
    for at, call in enumerate(undisturbed.calls, 1):
        client, store = alone(f"cut at {at}")
        with pytest.raises(Cut):
            MlflowView(Breaking(client, at, heard=True), store).sync_tables(lambda _: files)
        MlflowView(client, store).sync_tables(lambda _: files)
        assert tables(client, store) == expected == [("paper/table (demo)", "FINISHED", files)], f"cut at call {at}, {call}"


# --- while a sweep runs -------------------------------------------------------------------------------------------------


def no_tables(manifest):
    return {"table.md": "a table"}


def tracked(view, tables, **how):
    return Tracker(view, partial(view.sync_tables, tables), **how)


def wait(condition):
    """Wait until a condition holds, for a minute at most."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "the condition did not hold within a minute"
        time.sleep(0.02)


@contextmanager
def stopped(process):
    """Stop a server's process: it takes connections and answers nothing."""
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


def test_mlflow_follows_a_sweep(client, reader, store, capfd):
    tracker = tracked(MlflowView(client, store), no_tables, interval=0.02)
    tracker.start()
    tracker.changed(CAS, live=True)
    wait(lambda: CAS in find(reader, store) and find(reader, store)[CAS].info.status == "RUNNING")
    finish(jobs(tiny_plan(), store)[0])
    tracker.changed(CAS, live=False)
    wait(lambda: find(reader, store)[CAS].info.status == "FINISHED")
    assert tracker.stop()
    assert capfd.readouterr() == ("", ""), "output of MLflow would break the live view"
    assert tracker.error == ""
    assert {key: run.info.status for key, run in find(reader, store).items()} == {
        VANILLA: "FINISHED",
        CAS: "FINISHED",
        CIFS: "FAILED",
    }
    assert len(tables(client, store)) == 1
    assert MlflowView(client, store).sync(live=()) == 0


def test_trials_that_still_run_when_a_sweep_ends_are_shown_as_killed(sqlite, store):
    tracker = tracked(MlflowView(sqlite, store), no_tables, interval=60)
    tracker.start()
    tracker.changed(CAS, live=True)
    assert tracker.stop()
    assert find(sqlite, store)[CAS].info.status == "KILLED"


@pytest.mark.parametrize("heard", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("at", [1, 3, 6, 9])
def test_a_turn_that_fails_is_completed_by_the_next(sqlite, store, at, heard):
    tracker = tracked(MlflowView(Breaking(sqlite, at, heard), store), no_tables, interval=0.02)
    tracker.start()
    wait(lambda: tracker.error == "Cut")
    tracker.changed(VANILLA, live=False)
    wait(lambda: VANILLA in find(sqlite, store) and find(sqlite, store)[VANILLA].info.status == "FINISHED")
    wait(lambda: tracker.error == "")
    assert tracker.stop()
    assert find(sqlite, store).keys() == {VANILLA, CAS, CIFS}


def test_a_change_that_was_not_written_is_written_at_the_next_turn(sqlite, store):
    breaking = Breaking(sqlite, 0, heard=False)
    tracker = tracked(MlflowView(breaking, store), no_tables, interval=0.02)
    tracker.start()
    wait(lambda: len(find(sqlite, store)) == 3 and all("advsweep.synced" in r.data.tags for r in find(sqlite, store).values()))
    breaking.at = len(breaking.calls) + 1
    tracker.changed(CAS, live=True)
    wait(lambda: find(sqlite, store)[CAS].info.status == "RUNNING")
    assert len(breaking.calls) > breaking.at
    assert tracker.stop()


def test_tables_that_cannot_be_rendered_affect_no_run(sqlite, store):
    def failing(manifest):
        raise KeyError("column\nof several lines")

    tracker = tracked(MlflowView(sqlite, store), failing)
    tracker.start()
    assert not tracker.stop()
    assert tracker.error
    assert "\n" not in tracker.error
    assert find(sqlite, store).keys() == {VANILLA, CAS, CIFS}


def test_a_server_that_is_gone_delays_nothing_and_loses_nothing(store, sqlite, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    began = time.monotonic()
    tracker = tracked(MlflowView(MlflowClient("http://127.0.0.1:9"), store), no_tables, interval=0.02)
    tracker.start()
    for _ in range(100):
        tracker.changed(CAS, live=True)
    wait(lambda: tracker.error)
    assert not tracker.stop()
    assert time.monotonic() - began < 30
    assert "127.0.0.1" in tracker.error
    assert "\n" not in tracker.error
    assert MlflowView(sqlite, store).sync(live=()) == 3


def test_a_server_that_hangs_is_not_waited_for(store, server):
    process, uri, _ = server
    tracker = tracked(MlflowView(connect(uri), store), no_tables, interval=0.02)
    with stopped(process):
        began = time.monotonic()
        tracker.start()
        tracker.changed(CAS, live=True)
        assert not tracker.stop(patience=0.5)
        assert time.monotonic() - began < 15
        assert tracker.error == "MLflow did not answer within 0.5 s"
    view = MlflowView(connect(uri), store)
    view.sync(live=())  # waits for the update that now ends
    assert {key: run.info.status for key, run in find(connect(uri), store).items()} == {
        VANILLA: "FINISHED",
        CAS: "KILLED",
        CIFS: "FAILED",
    }
    assert view.sync(live=()) == 0


class Slow:
    """A view that writes an entry every tenth of a second, or stops at one."""

    name, notes = "slow", ()

    def __init__(self, entries, stops_at=None):
        self.left, self.written = entries, 0
        self._stops_at = stops_at

    def sync(self, live, only=None):
        while self.left and self.written != self._stops_at:
            time.sleep(0.1)
            self.left -= 1
            self.written += 1
        while self.left:
            time.sleep(0.1)
        return self.written


def test_a_view_that_goes_on_is_waited_for():
    view, behind = Slow(30), list[int]()
    tracker = Tracker(view)
    tracker.start()
    assert tracker.stop(patience=1.0, waiting=behind.append), "the whole takes three times as long"
    assert view.written == 30
    assert behind == sorted(behind, reverse=True)
    assert len(behind) >= 2
    assert 0 < behind[0] < 30


def test_a_view_that_stands_still_is_given_up():
    view = Slow(30, stops_at=3)
    tracker = Tracker(view)
    tracker.start()
    assert not tracker.stop(patience=1.0)
    assert tracker.error == "slow did not answer within 1 s"
    assert tracker.behind == 27
    view.left = 0


def test_a_server_that_comes_back_during_a_sweep_is_updated(store, server, monkeypatch):
    process, uri, _ = server
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    tracker = tracked(MlflowView(connect(uri), store), no_tables, interval=0.02)
    with stopped(process):
        tracker.start()
        tracker.changed(CAS, live=True)
        wait(lambda: tracker.error)
    monkeypatch.undo()
    wait(lambda: CAS in find(connect(uri), store) and find(connect(uri), store)[CAS].info.status == "RUNNING")
    assert tracker.stop()
    assert find(connect(uri), store).keys() == {VANILLA, CAS, CIFS}


def test_two_processes_take_turns(sqlite, store):
    """With ``advsweep sync`` during a sweep, one waits for the other, and no trial gets two runs."""
    views = [MlflowView(connect(sqlite.tracking_uri), store) for _ in range(4)]
    threads = [threading.Thread(target=view.sync, kwargs={"live": ()}) for view in views]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert find(sqlite, store).keys() == {VANILLA, CAS, CIFS}


# --- URIs ---------------------------------------------------------------------------------------------------------------


def test_the_tracking_uri(store, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert default_uri(store) == f"sqlite:///{store.root}/mlflow.db"
    monkeypatch.chdir(tmp_path)
    assert default_uri(Store("mock:///record")) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert default_uri(store) == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9", "foo://nowhere", "file:///tmp/runs", "sqlite:////proc/nowhere/mlflow.db", "postgresql://x/y"]
)
def test_the_error_of_an_unreachable_tracking_uri_is_one_line(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(Unavailable) as error:
        connect(uri)
    text = str(error.value)
    assert text.startswith(f"MLFLOW_TRACKING_URI={uri!r} cannot be reached: ")
    later = "`advsweep run --no-tracking` leaves MLflow to a later `advsweep sync`"
    assert text.endswith(f"; start that server, or unset the variable; {later}")
    assert "\n" not in text


def test_the_error_of_a_database_in_the_storage_names_no_variable_that_is_not_set(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(Unavailable, match=r"^MLflow's database 'sqlite:////proc/x.db' cannot be used: [^\n]*; make it"):
        connect("sqlite:////proc/x.db")


def test_a_full_disk_under_a_database_is_named():
    text = "(raised as a result of Query-invoked autoflush; consider more)\n(sqlite3.OperationalError) database or disk is full"
    assert one_line(Exception(f"{text}\n[SQL: ...]")) == "(sqlite3.OperationalError) database or disk is full"


def test_artifacts_of_a_local_storage_are_in_the_storage(sqlite, store):
    MlflowView(sqlite, store).sync(live=())
    assert os.path.isdir(f"{store.root}/mlflow-artifacts/{paper(store)}")
    assert list(store.trials()) == sorted([VANILLA, CAS, CIFS])
    assert len(store.manifests()) == 1
