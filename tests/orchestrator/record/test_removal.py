"""Deleting: what is said first is what goes, readers and segments never show it again, and the rest is as before."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from mlflow import MlflowClient

import advsweep
from analysis.record.load import load
from analysis.record.names import FileName
from analysis.record.rows import segments
from analysis.record.schema import Status
from orchestrator.api.views import sync_mlflow, sync_optuna
from orchestrator.planning.plan import Plan
from orchestrator.record.compaction import compact
from orchestrator.record.files import ABANDONED
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store
from orchestrator.tracking.optuna_storage import open_storage
from tests.support.command_line import here, runs
from tests.support.recorded_study import STATE, other_study, recorded_study
from tests.support.untrained_trials import write


@pytest.fixture
def study(tmp_path: Path) -> tuple[Store, Plan]:
    return recorded_study(tmp_path / "storage")


def files(store: Store) -> set[str]:
    """Return every file of the record, without locks and views."""
    root = Path(store.root)
    return {
        str(path.relative_to(root)) for part in ("trials", "studies") for path in (root / part).rglob("*") if path.is_file()
    }


def gone(store: Store, *trials: str) -> None:
    """Check that no reader finds anything of these trials, with and without segments."""
    for segmented in (True, False):
        if not segmented:
            shutil.rmtree(Path(store.root, "segments"), ignore_errors=True)
        record = load(store.uri)
        for frame in (record.trials, record.epochs, record.evaluations, record.measures):
            assert not set(frame["trial"]) & set(trials)
        assert not store.index().keys() & set(trials)
        assert not store.index(trials)
        assert all(store.read_trial(key) is None and not store.read_evaluations(key) for key in trials)


def test_a_study_goes_with_its_trials_but_those_that_another_needs(study: tuple[Store, Plan]) -> None:
    store, made = study
    shared = set(made.manifests[0].arms[0].trials.values())
    store.write_manifest(other_study(made))
    compact(store)
    before = files(store)
    would = advsweep.rm("tiny/table", storage=store.uri)
    assert files(store) == before
    assert (set(would.shared), would.done) == (shared, False)
    assert set(would.shared[min(shared)]) == {"tiny/other (demo@few=1)"}
    assert would.evaluations == sum(len(t.evaluations) for t in made.trials if t.key not in shared)

    done = advsweep.rm("tiny/table", storage=store.uri, yes=True)
    assert done == replace(would, done=True)
    assert files(store) == {f for f in before if any(key in f for key in shared)} | {other_study(made).path}
    assert segments(store)  # they still hold the rows
    gone(store, *done.trials)
    assert set(load(store.uri).trials["trial"]) == shared


def test_sizes_are_those_on_the_disk(study: tuple[Store, Plan]) -> None:
    store, _ = study

    def filled() -> int:
        return sum(path.stat().st_size for path in Path(store.root, "trials").rglob("*") if path.is_file())

    before = filled()
    key = min(store.trials())
    removed = advsweep.rm(trials=[key], storage=store.uri, yes=True)
    assert before - filled() == removed.size > len(STATE)
    before = filled()
    freed = advsweep.gc(store.uri, only=["states"], yes=True)
    assert before - filled() == freed.size["states"] == freed.files["states"] * len(STATE)


def test_a_trial_that_is_trained_again_after_its_deletion_is_the_new_one(study: tuple[Store, Plan]) -> None:
    store, made = study
    compact(store)
    trial = made.trials[0]
    kept = Path(store.root).with_name("kept")
    shutil.copytree(Path(store.root, "segments"), kept)
    advsweep.rm(trials=[trial.key], storage=store.uri, yes=True)
    compact(store)
    shutil.copytree(kept, Path(store.root, "segments"), dirs_exist_ok=True)  # an old segment comes back
    gone(store, trial.key)
    write(store, trial, Status.UNFINISHED, robust=[0.25])
    assert store.index()[trial.key].epochs == 1


def test_a_single_trial_goes_by_the_beginning_of_its_key_even_if_studies_need_it(study: tuple[Store, Plan]) -> None:
    store, made = study
    key = made.trials[0].key
    said = here("rm", "--trial", key[:6], "--storage", store.uri)
    assert (said.code, said.err) == (0, "")
    assert f"  {key} Vanilla" in said.out
    assert "tiny/table (demo) lacks 1 trials then; its next run trains them again" in said.out
    assert "Nothing is deleted yet" in said.out
    assert store.trials([key])
    assert "deleted: 1 trials" in here("rm", "--trial", key[:6], "--storage", store.uri, "--yes").out
    gone(store, key)
    assert [t.key for t in made.against(store.index()).to_run] == [key]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "rm: name studies, or give --trial"),
        (("tiny/tabel",), "no study 'tiny/tabel' in --storage"),
        (("tiny/table", "--variant", "paper"), "--variant 'paper': no such variant of 'tiny/table'"),
        (("--trial", "zz"), "trial = 'zz': there is no such trial"),
        (("--trial", ""), "trial = '': there is no such trial"),
        (("--trial", "../storage/trials/x"), "there is no such trial"),
    ],
)
def test_what_is_not_there_is_refused(study: tuple[Store, Plan], arguments: tuple[str, ...], message: str) -> None:
    store, _ = study
    before = files(store)
    ended = here("rm", *arguments, "--storage", store.uri, "--yes")
    assert ended.code == 2
    assert message in ended.err
    assert files(store) == before


def test_a_beginning_of_several_keys_is_refused(study: tuple[Store, Plan]) -> None:
    store, made = study
    first = made.trials[0]
    for key in ("ab12", "ab34"):
        write(store, replace(first, key=key))
    with pytest.raises(advsweep.BadInput, match=r"2 keys begin so .*: ab12, ab34; write more of it"):
        advsweep.rm(trials=["ab"], storage=store.uri)
    with pytest.raises(advsweep.BadInput, match="2 keys begin so"):
        advsweep.load_model(store.uri, "ab")


def test_nothing_is_deleted_while_a_run_holds_the_storage(study: tuple[Store, Plan]) -> None:
    store, _ = study
    with Claims.joined(store, "run"):
        before = files(store)
        for arguments in (("rm", "tiny/table"), ("gc",)):
            assert here(*arguments, "--storage", store.uri).code == 0  # it may say what would go
            ended = here(*arguments, "--storage", store.uri, "--yes")
            assert (ended.code, files(store)) == (2, before)
            assert "(advsweep run, process" in ended.err


def test_a_removal_that_is_killed_is_completed_by_the_same_command(
    study: tuple[Store, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, made = study
    left = [3]

    def killed(self: object, path: str) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        shutil.rmtree(path)

    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.record.removal._delete_folder", lambda store, path: killed(store, path))
        with pytest.raises(KeyboardInterrupt):
            advsweep.rm("tiny/table", storage=store.uri, yes=True)
    assert len(store.trials()) == len(made.trials) - 3
    advsweep.rm("tiny/table", storage=store.uri, yes=True)
    assert not store.trials()
    (hidden,) = Path(store.root, "trials").iterdir()  # what the kill left is no trial
    for path in hidden.iterdir():
        os.utime(path, (0, 0))
    assert advsweep.gc(store.uri, yes=True).files["temporary"]
    assert not [*Path(store.root, "trials").iterdir()]


# --- gc -----------------------------------------------------------------------------------------------------------------


def test_trials_that_no_study_has_go(study: tuple[Store, Plan]) -> None:
    store, made = study
    few = replace(made.manifests[0], arms=made.manifests[0].arms[1:], beside={"source": "a source"}, older={})
    kept, orphans = set(few.trials), set(made.manifests[0].trials) - few.trials
    write(store, replace(made.trials[0], key="source"))
    older = min(kept)
    write(store, replace(made.trials[0], key="olderkey"))
    store.write_manifest(replace(few, older={older: ("olderkey",)}))
    compact(store)
    freed = advsweep.gc(store.uri, only=["orphans"], yes=True)
    assert set(freed.trials) == orphans
    gone(store, *orphans)
    assert store.trials().keys() == kept | {"source", "olderkey"}


def test_no_trial_is_called_needless_while_a_manifest_is_not_readable(study: tuple[Store, Plan]) -> None:
    store, made = study
    path = Path(store.root, made.manifests[0].path)
    path.rename(path.with_name(f"{path.name}.damaged"))
    ended = here("gc", "--only", "orphans", "--storage", store.uri, "--yes")
    assert (ended.code, len(store.trials())) == (2, len(made.trials))
    assert f"{path.name}.damaged is no readable manifest" in ended.err
    assert here("gc", "--storage", store.uri, "--yes").code == 0
    assert len(store.trials()) == len(made.trials)


def test_states_of_finished_trials_go_and_those_of_others_stay(study: tuple[Store, Plan]) -> None:
    store, made = study
    begun, failed = made.trials[:2]
    write(store, begun, Status.UNFINISHED, robust=[0.5])
    write(store, failed, Status.FAILED, robust=[0.5])
    ended = here("gc", "--only", "states", "--storage", store.uri, "--yes")
    assert f"deleted: {len(made.trials) - 2} states of finished trials" in ended.out
    assert "Without its state nothing can go on with a finished training" in ended.out
    assert {key for key in store.trials() if store.read_state(key)} == {begun.key, failed.key}
    assert all(store.read_weights(t.key, 3) for t in made.trials)


def test_older_versions_and_what_nothing_refers_to_go(study: tuple[Store, Plan]) -> None:
    store, made = study
    key, other = (trial.key for trial in made.trials[:2])
    folder = Path(store.root, "trials", key)
    before = files(store)

    def put(table: str, part: str, order: int, extension: str, trial: str = key) -> str:
        name = FileName.of(table, part, order, b"left", extension)
        Path(store.root, "trials", trial, str(name)).write_bytes(b"left")
        return f"trials/{trial}/{name}"

    left = {
        put("trial", "", 0, "parquet"),
        put("evaluations", "byhand", 0, "parquet"),
        put("outcomes", "killed", 1, "parquet"),
        put("weights", "", 1, "safetensors"),
    }
    assert {str(path.relative_to(store.root)) for path in folder.iterdir()} > left
    # Of a trial that is not finished, which weights count is in its state alone.
    write(store, made.trials[1], Status.UNFINISHED, robust=[0.5])
    before = (before - {f for f in before if f"{other}/trial-" in f}) | {f for f in files(store) if f"{other}/trial-" in f}
    kept = put("weights", "", 1, "safetensors", other)
    content = advsweep.render(advsweep.table("tiny/table", storage=store.uri), "csv")
    freed = advsweep.gc(store.uri, only=["superseded"], yes=True)
    # Of a finished one, the epochs that its row names.
    second = {f for f in before if "weights-000002" in f and other not in f}
    assert freed.files == {"superseded": len(left) + len(second)}
    assert files(store) == (before - second) | {kept}
    assert advsweep.render(advsweep.table("tiny/table", storage=store.uri), "csv") == content


def test_temporary_files_go_once_no_writer_can_be_at_them(study: tuple[Store, Plan]) -> None:
    store, made = study
    trial = f"trials/{made.trials[0].key}"
    ours = 32 * "a"
    names = (f"{trial}/.weights-000001.{ours}.tmp", f"segments/.trial.{ours}.tmp", f".mlflow.db.{ours}.tmp", f"token-{ours}")
    for age, name in zip((ABANDONED + 60, ABANDONED + 60, ABANDONED + 60, 60), names, strict=True):
        path = Path(store.root, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    assert advsweep.gc(store.uri, only=["temporary"], yes=True).files == {"temporary": 3}
    assert [Path(store.root, name).exists() for name in names] == [False, False, False, True]


def test_an_unknown_reason_is_refused(study: tuple[Store, Plan]) -> None:
    with pytest.raises(advsweep.BadInput, match="only = weights: allowed: orphans, states, superseded, temporary"):
        advsweep.gc(study[0].uri, only=["weights"])


def test_readers_at_work_see_a_trial_whole_or_not_at_all(study: tuple[Store, Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    store, made = study
    listed = store.trials()
    key = made.trials[0].key
    trials = store.trials
    monkeypatch.setattr(
        "analysis.record.load.RecordFiles.trials", lambda self, keys=None: listed if keys is None else trials(keys)
    )
    advsweep.rm(trials=[key], storage=store.uri, yes=True)
    assert set(load(store.uri).trials["trial"]) == {t.key for t in made.trials} - {key}


# --- views --------------------------------------------------------------------------------------------------------------


def test_what_is_deleted_goes_from_the_views_of_the_storage(study: tuple[Store, Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store, made = study
    root, other = Path(store.root), other_study(made)
    store.write_manifest(other)
    sync_mlflow(store)
    sync_optuna(store)
    assert len(runs(root)) == len(made.trials)
    done = advsweep.rm("tiny/table", storage=store.uri, yes=True)
    assert done.views == ()
    assert {key for key, _ in runs(root)} == set(other.trials)
    assert optuna.get_all_study_names(open_storage(f"{root}/optuna.journal")) == [other.full_name]
    client = MlflowClient(tracking_uri=f"sqlite:///{root}/mlflow.db")
    (paper,) = [e.experiment_id for e in client.search_experiments() if e.name == "tiny"]
    tables = client.search_runs([paper], "tags.`advsweep.study` != ''")
    assert [run.data.tags["advsweep.study"] for run in tables] == [other.full_name]

    # A single trial: Optuna's study, which cannot lose one, is made again by the next update.
    key = min(other.trials)
    advsweep.rm(trials=[key], storage=store.uri, yes=True)
    sync_mlflow(store)
    sync_optuna(store)
    assert {key for key, _ in runs(root)} == set(other.trials) - {key}
    (left,) = optuna.load_study(study_name=other.full_name, storage=open_storage(f"{root}/optuna.journal")).trials
    assert left.user_attrs["trial"] != key


def test_a_server_that_other_storages_may_use_is_left_alone(study: tuple[Store, Plan]) -> None:
    store, made = study
    key = made.trials[0].key
    server = f"sqlite:///{store.root}/elsewhere.db"
    ended = here("rm", "--trial", key, "--yes", "--storage", store.uri, MLFLOW_TRACKING_URI=server)
    assert f"still shown: MLflow at {server}" in ended.out
    gone(store, key)


# --- du -----------------------------------------------------------------------------------------------------------------


def test_every_byte_is_counted_once(study: tuple[Store, Plan]) -> None:
    store, made = study
    store.write_manifest(other_study(made))
    compact(store)
    root = Path(store.root)
    (root / "mlflow.db").write_bytes(b"x" * 100)
    (root / "mlflow-artifacts").mkdir()
    (root / "mlflow-artifacts" / "a").write_bytes(b"x" * 10)
    (root / "trials" / "note.txt").write_bytes(b"x" * 7)
    use = advsweep.du(store.uri)
    assert use.total == sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    assert use.total == sum(use.kinds.values())
    assert (use.kinds["views"], use.kinds["states"]) == (110, len(STATE) * len(made.trials))
    assert {"weights", "outcomes", "evaluations", "trials", "segments", "manifests"} < use.kinds.keys()
    assert use.freeable["states"] == len(STATE) * len(made.trials)
    by_name = {each.study: each for each in use.studies}
    table, other = by_name["tiny/table"], by_name["tiny/other"]
    assert (table.trials, other.trials, other.own) == (len(made.trials), 2, 0)
    assert table.own == sum(table.bytes.values()) - sum(other.bytes.values())


def test_sizes_are_printed_and_given_to_programs(study: tuple[Store, Plan]) -> None:
    store, _ = study
    shown = here("du", "--storage", store.uri).out
    assert "tiny/table  demo     6" in shown
    assert "`advsweep gc --only states` frees 30.0 kB: states of finished trials" in shown
    found = json.loads(here("du", "--storage", store.uri, "--json").out)
    assert found["kinds"]["states"] == found["freeable"]["states"] == 30_000
    assert here("du", "--storage", "nowhere").code == 2


def test_outcomes_are_read_as_before(study: tuple[Store, Plan]) -> None:
    store, _ = study
    advsweep.gc(store.uri, yes=True)
    record = load(store.uri)
    for row in record.evaluations.itertuples():
        assert np.mean(record.outcomes.of(row).ranks == 0) == pytest.approx(row.accuracy)
