"""The record: what is written is read again, completely or not at all, and locks keep other processes out."""

import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from analysis.record.fields import flatten
from analysis.record.files import BrokenRecordError
from analysis.record.load import array as loaded_array
from analysis.record.load import load
from analysis.record.names import newest
from analysis.record.schema import EPOCHS, EVALUATIONS, MEASURES, OUTCOMES, TRIAL, Status
from orchestrator.errors import Unavailable
from orchestrator.execution.work import Work
from orchestrator.record.recorded import Failed, Recorded
from orchestrator.record.store import Store
from tests.support.tiny_study import RUNTIME, tiny_plan
from trainables.checkpoint import pack_weights, unpack_weights
from trainables.config import TSNE, measurement_key
from trainables.trial import Trial

NOW = datetime(2026, 11, 20, 12, 30, 15, 123000, tzinfo=UTC)


def trial_row(trial="a1", **changed):
    row = {
        "trial": trial,
        "status": Status.FINISHED,
        "reason": "",
        "ending": None,
        "epochs": 3,
        "best_epoch": 2,
        "seed": 7,
        "config": "{}",
    }
    row |= {"device": "cpu", "versions": "{}", "seconds": 1.5, "created": NOW, "updated": NOW, "history": []}
    return dict.fromkeys(TRIAL.names) | row | changed


def epoch_row(epoch, **changed):
    row = {"epoch": epoch, "lr": 0.1, "train_loss": 2.0, "train_accuracy": 0.25, "natural_accuracy": 0.5}
    return (
        row
        | {"robust_accuracy": 0.125, "seconds": 1.0, "images_per_second": 9.0, "finished": NOW, "discriminator_accuracy": None}
        | changed
    )


def evaluation_row(key="e1", head="final", **changed):
    row = {"evaluation": key, "trial": "a1", "checkpoint": "best", "epoch": 2, "attack": "k", "attack_name": "pgd"}
    row |= {"attack_spec": "{}", "beta_atk": "2", "head": head, "accuracy": 0.5, "ranks": np.array([0, 9], np.uint16)}
    row |= {"sees": "gradients", "iterates": True, "ensemble": False, "gradient_steps": 20, "numerics": "{}"}
    row |= {"complete": False, "broken": np.array([65535, 3], np.uint16), "distance": None}
    row |= dict.fromkeys(("last_accuracy", "by_steps", "mean_accuracy", "averaged_accuracy", "draws"))
    return row | {"class_accuracy": [0.5, 0.25], "seconds": 1.0, "finished": NOW} | changed


def measure_row(key="m1", array="a", values=0.0, **changed):
    row = {"measurement": key, "trial": "a1", "checkpoint": "best", "epoch": 2, "measure": "k", "measure_name": "dimensions"}
    row |= {"measure_spec": "{}", "array": array, "values": np.asarray(values), "seconds": 1.0, "finished": NOW}
    return row | changed


def files(store, folder="trials/a1"):
    """List the names of files, without digests."""
    return sorted(re.sub(r"\.[0-9a-f]{16}\.", ".", name) for name in os.listdir(f"{store.root}/{folder}"))


def table(store, table, part=""):
    """Read the newest file of a part of the trial's table."""
    (name,) = (name for name in newest(store.trials()["a1"], table) if name.part == part)
    return store.read_table("a1", name)


# --- round trips --------------------------------------------------------------------------------------------------------


def test_a_written_trial_is_read(store):
    assert store.read_trial("a1") is None
    history = [epoch_row(1), epoch_row(2, robust_accuracy=None)]
    row = trial_row(reason="µ, 'quotes'\tand all", status=Status.FAILED, history=history)
    store.write_trial(row)
    assert store.read_trial("a1") == row
    assert table(store, "trial").schema.equals(TRIAL)
    assert store.read_epochs("a1") == [{"trial": "a1", **epoch} for epoch in history]
    assert load(store.uri).epochs.columns.tolist() == EPOCHS.names
    assert load(store.uri).epochs["epoch"].tolist() == [1, 2]


def test_a_newer_row_replaces_the_one_before(store):
    assert store.read_epochs("a1") == []
    store.write_trial(trial_row(history=[epoch_row(1), epoch_row(2)]))
    store.write_trial(trial_row(history=[epoch_row(1)]))
    assert store.read_epochs("a1") == [{"trial": "a1", **epoch_row(1)}]
    assert files(store) == ["trial-000002.parquet"]


def test_evaluations_are_read_from_all_parts(store):
    assert store.read_evaluations("a1") == []
    store.write_evaluations("a1", "x", [evaluation_row("e1"), evaluation_row("e1", "1")])
    store.write_evaluations("a1", "y", [evaluation_row("e2")])
    store.write_evaluations("a1", "x", [evaluation_row("e1"), evaluation_row("e1", "1"), evaluation_row("e3")])
    keys = [("e1", "1"), ("e1", "final"), ("e2", "final"), ("e3", "final")]
    expected = [evaluation_row(key, head) for key, head in keys]
    for row in expected:
        del row["ranks"], row["broken"], row["distance"]
        row |= {"part": "y" if row["evaluation"] == "e2" else "x", "examples": 2, "median_distance": None}
    assert sorted(store.read_evaluations("a1"), key=lambda row: (row["evaluation"], row["head"])) == expected
    assert table(store, "evaluations", "y").schema.equals(EVALUATIONS)
    outcomes = table(store, "outcomes", "y")
    assert outcomes.schema.equals(OUTCOMES)
    assert outcomes["ranks"].to_pylist() == [[0, 9]]
    assert outcomes["broken"].to_pylist() == [[65535, 3]]
    assert outcomes["distance"].to_pylist() == [None]


def test_an_accuracy_that_is_not_that_of_its_ranks_is_refused(store):
    with pytest.raises(ValueError, match=r"evaluation e1: accuracy 0\.75 is not that of its ranks"):
        store.write_evaluations("a1", "x", [evaluation_row("e1", accuracy=0.75)])
    assert store.trials() == {}


def test_distances_are_read_infinite_ones_too(store):
    for part, distance in {"x": [0, 0.25, np.inf], "y": [0, np.inf, np.inf]}.items():
        row = evaluation_row(part, distance=np.array(distance, np.float32), broken=None)
        store.write_evaluations("a1", part, [row])
        assert table(store, "outcomes", part)["distance"].to_pylist() == [distance]
        assert table(store, "outcomes", part)["broken"].to_pylist() == [None]
    assert [row["median_distance"] for row in store.read_evaluations("a1")] == [0.25, np.inf]


def test_an_evaluation_in_two_parts_is_one(store):
    store.write_evaluations("a1", "x", [evaluation_row("e1")])
    store.write_evaluations("a1", "y", [evaluation_row("e1")])
    assert len(store.read_evaluations("a1")) == 1


ARRAYS = {
    "scalar": np.array(7),
    "flags": np.array([True, False]),
    "matrix": np.array([[1.0, np.nan, -0.0], [np.pi, 1e-300, np.inf]]),
    "single": np.arange(3, dtype=np.float32) / 3,
    "strided": np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
    "empty": np.zeros((0, 2)),
}


def test_arrays_of_measures_are_read_in_their_shape(store):
    assert store.read_measures("a1") == []
    store.write_measures("a1", "x", [measure_row(array=name, values=values) for name, values in ARRAYS.items()])
    rows = store.read_measures("a1")
    assert [row["array"] for row in rows] == list(ARRAYS)
    for row in rows:
        expected = ARRAYS[row["array"]].astype(np.float64)
        assert (row["values"].shape, row["values"].dtype) == (expected.shape, np.float64)
        assert row["values"].tobytes() == expected.tobytes()
        without = {name: value for name, value in row.items() if name not in {"shape", "values"}}
        assert without == {name: value for name, value in measure_row(array=row["array"]).items() if name != "values"}
    assert table(store, "measures", "x").schema.equals(MEASURES)
    assert table(store, "measures", "x")["shape"].to_pylist() == [list(values.shape) for values in ARRAYS.values()]
    record = load(store.uri)
    for name, values in ARRAYS.items():
        assert loaded_array(record, "m1", name).tobytes() == values.astype(np.float64).tobytes()


def test_the_index_knows_measurements(store):
    store.write_trial(trial_row())
    store.write_measures("a1", "x", [measure_row("m1"), measure_row("m1", "b")])
    store.write_measures("a1", "y", [measure_row("m2")])
    assert store.recorded("a1").measurements == {"m1", "m2"}
    assert store.recorded("a1").evaluations == frozenset()


def test_measures_are_read_once_from_all_parts(store):
    store.write_measures("a1", "x", [measure_row("m1")])
    store.write_measures("a1", "y", [measure_row("m1", "b", 2), measure_row("m2", "a", 3)])
    store.write_measures("a1", "x", [measure_row("m1", "a", 1), measure_row("m2", "a", 3)])
    found = {(row["measurement"], row["array"]): float(row["values"]) for row in store.read_measures("a1")}
    assert found == {("m1", "a"): 1, ("m1", "b"): 2, ("m2", "a"): 3}
    assert len(store.read_measures("a1")) == len(load(store.uri).measures) == 3
    assert store.read_evaluations("a1") == []


def test_measures_of_a_trial_are_kept_exactly(store, job):
    trial = Trial(job.config, RUNTIME)
    measure = TSNE(examples=20, perplexity=5.0)
    arrays = trial.measure(measure, trial.weights())
    key = measurement_key(job.key, "last", measure)
    store.write_measures(job.key, "x", [measure_row(key, name, values) for name, values in arrays.items()])
    record = load(store.uri)
    assert set(record.measures["array"]) == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(loaded_array(record, key, name), values)


def test_written_weights_and_state_are_read(store):
    assert store.read_state("a1") is None
    store.write_state("a1", 12, b"state")
    store.write_weights("a1", 12, b"twelve")
    assert (store.read_state("a1"), store.read_weights("a1", 12)) == (b"state", b"twelve")
    assert files(store) == ["state-000012.pt", "weights-000012.safetensors"]
    with pytest.raises(FileNotFoundError):
        store.read_weights("a1", 11)


def test_written_manifests_are_read(store):
    assert store.manifests() == []
    manifests = [tiny_plan().manifests[0], tiny_plan(training__lr=0.5).manifests[0]]
    for manifest in [*manifests, manifests[0]]:
        store.write_manifest(manifest)
    assert sorted(store.manifests(), key=lambda m: m.variant) == manifests
    assert files(store, "studies/tiny/table") == ["demo.json", "demo@training.lr=0.5.json"]


def test_nested_settings_become_dotted_names():
    tree = {"a": {"b": {"c": 1}, "d": None}, "e": [1, 2], "f": {}, "g": False}
    assert flatten(tree) == {"a.b.c": 1, "e": [1, 2], "g": False}


# --- deletions ----------------------------------------------------------------------------------------------------------


def test_only_the_weights_that_are_still_needed_are_kept(store):
    for epoch in (1, 2, 3, 10000):
        store.write_weights("a1", epoch, b"")
    store.write_weights("b2", 1, b"")
    store.write_state("a1", 3, b"")
    store.write_trial(trial_row())
    store.keep_weights("a1", {2, 10000, 0})
    kept = ["state-000003.pt", "trial-000001.parquet", "weights-000002.safetensors", "weights-010000.safetensors"]
    assert files(store) == kept
    assert files(store, "trials/b2") == ["weights-000001.safetensors"]


def test_weights_and_states_replace_those_before(store):
    for epoch, data in ((1, b"one"), (2, b"two"), (2, b"again")):
        store.write_weights("a1", epoch, data)
        store.write_state("a1", epoch, data)
    assert (store.read_weights("a1", 1), store.read_weights("a1", 2), store.read_state("a1")) == (b"one", b"again", b"again")
    assert files(store) == ["state-000002.pt", "weights-000001.safetensors", "weights-000002.safetensors"]


def test_temporary_files_of_a_killed_writer_are_deleted(store):
    store.write_weights("a1", 1, b"")
    for name in (f".weights-000001.0.safetensors.{32 * 'a'}.tmp", f".state.pt.{32 * 'b'}.tmp"):
        Path(f"{store.root}/trials/a1/{name}").write_bytes(b"half")
    store.delete_temporaries("a1")
    assert files(store) == ["weights-000001.safetensors"]


# --- index --------------------------------------------------------------------------------------------------------------


def test_the_index_knows_status_epochs_and_evaluations(store):
    store.write_trial(trial_row("a1"))
    store.write_trial(trial_row("b2", status=Status.FAILED, reason="out of memory", epochs=1))
    store.write_evaluations("a1", "x", [evaluation_row("e1"), evaluation_row("e1", "1")])
    store.write_evaluations("a1", "y", [evaluation_row("e2")])
    assert list(store.trials()) == ["a1", "b2"]
    assert store.index(["b2", "a1", "a1", "unknown"]) == {
        "a1": Recorded(Status.FINISHED, "", 3, frozenset({"e1", "e2"})),
        "b2": Recorded(Status.FAILED, "out of memory", 1, frozenset()),
    }
    assert store.index([]) == {}


def failure_row(key, reason, **changed):
    row = {"evaluation": key, "trial": "a1", "checkpoint": "best", "attack": "k", "label": "PGD-20", "reason": reason}
    return row | {"finished": NOW} | changed


def test_the_index_knows_failures_until_there_is_a_number(store):
    store.write_trial(trial_row())
    store.write_failures("a1", "z", [failure_row("e1", "first"), failure_row("e2", "other", label="CW")])
    store.write_failures("a1", "a", [failure_row("e1", "last", finished=NOW + timedelta(seconds=1))])
    failures = {"e1": Failed("PGD-20", "best", "last"), "e2": Failed("CW", "best", "other")}
    assert store.index()["a1"].failures == failures
    assert dict(zip(*load(store.uri).failures[["evaluation", "reason"]].to_numpy().T, strict=True)) == {
        "e1": "last",
        "e2": "other",
    }
    store.write_evaluations("a1", "x", [evaluation_row("e1")])
    assert store.index()["a1"].failures == {"e2": failures["e2"]}
    assert load(store.uri).failures["evaluation"].tolist() == ["e2"]
    store.write_measures("a1", "x", [measure_row() | {"measurement": "e2"}])
    assert store.index()["a1"].failures == {}
    assert load(store.uri).failures.empty


def test_the_index_ignores_other_files(store):
    assert store.index(["a1"]) == {}
    store.write_trial(trial_row("a1"))
    trials = Path(store.root) / "trials"
    (trials / "empty").mkdir()
    (trials / ".hidden").mkdir()
    (trials / "file").write_text("x")
    (trials / "a1" / ".evaluations-x.parquet.1.tmp").write_text("half")
    (trials / "a1" / "notes.txt").write_text("mine")
    assert list(store.trials()) == ["a1"]
    assert store.index(["a1", "empty", "file", ".hidden"]) == {"a1": Recorded(Status.FINISHED, "", 3)}


def test_other_files_among_the_manifests_are_ignored(store):
    store.write_manifest(tiny_plan().manifests[0])
    folder = Path(store.root) / "studies" / "tiny" / "table"
    (folder / ".demo.json.1.tmp").write_text("half")
    (folder / ".hidden.json").write_text("half")
    (folder / "notes.txt").write_text("mine")
    assert len(store.manifests()) == 1


# --- storages -----------------------------------------------------------------------------------------------------------


def test_a_folder_and_its_uri_are_the_same_storage(tmp_path):
    Store(str(tmp_path / "s")).write_trial(trial_row())
    other = Store((tmp_path / "s").as_uri())
    assert (other.uri, other.root, other.local) == ((tmp_path / "s").as_uri(), str(tmp_path / "s"), True)
    assert list(other.trials()) == list(Store(other.uri).trials()) == ["a1"]


def test_a_relative_folder_stays_the_same_when_the_working_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Store("here").uri == str(tmp_path / "here")


def test_a_storage_in_memory():
    """Every file system of pyarrow can hold a storage."""
    store = Store("mock:///record")
    store.create()
    assert not store.local
    store.write_trial(trial_row(history=[epoch_row(1)]))
    store.write_weights("a1", 1, b"one")
    store.write_weights("a1", 2, b"two")
    store.keep_weights("a1", {2})
    assert store.read_epochs("a1") == [{"trial": "a1", **epoch_row(1)}]
    with pytest.raises(FileNotFoundError):
        store.read_weights("a1", 1)
    with store.exclusively("sync"), store.exclusively("sync"):  # such a storage has no locks
        pass


@pytest.mark.parametrize("uri", ["foo://bucket/x", "file://relative", "file:///with space", "hdfs://nowhere/x"])
def test_the_error_of_an_unusable_uri_is_one_line(uri):
    with pytest.raises(Unavailable) as error:
        Store(uri)
    text = str(error.value)
    assert text.startswith(f"--storage {uri!r}: ")
    assert text.endswith("allowed: a folder, or a URI such as s3://bucket/path")
    assert "\n" not in text


def test_the_error_of_a_storage_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "storage", tmp_path / "file", Path("/proc/storage")):
        store = Store(str(folder))
        with pytest.raises(Unavailable) as error:
            store.create()
        assert str(error.value).startswith(f"--storage {str(folder)!r} cannot be written: ")
        assert "\n" not in str(error.value)


def test_creating_a_storage_leaves_no_files(store):
    assert not store.exists()
    store.create()
    store.create()
    assert store.exists()
    assert os.listdir(store.root) == []


def test_a_token_is_seen_where_the_storage_is_shared(store, tmp_path):
    other = Store(str(tmp_path / "other"))
    with store.token() as token:
        assert Store(store.uri).sees(token)
        assert not other.sees(token)
    assert not store.sees(token)


# --- whole files or none ------------------------------------------------------------------------------------------------

WRITER = """
import sys
from orchestrator.record.store import Store
store = Store(sys.argv[1])
sizes = [int(size) for size in sys.argv[2:]]
print("ready", flush=True)
while True:
    for letter, size in zip(b"abcdefgh", sizes):
        store._replace("a1", "state", "", bytes([letter]) * size, "pt")
"""


def start(code, *args):
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, args)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_reader_sees_whole_files_while_they_are_replaced_and_a_killed_writer_leaves_the_previous_one(store):
    whole = {bytes([letter]) * size for letter, size in zip(b"abc", (3_000_000, 1, 500_000), strict=True)}
    store.write_state("a1", 0, b"c" * 500_000)
    seen: set[bytes] = set()
    pauses = iter([*np.linspace(0.02, 0.1, 6), *[0.5] * 100])
    while (pause := next(pauses)) < 0.5 or len(seen) < 2:  # on a busy machine the reader or the writer may wait for long
        writer = start(WRITER, store.uri, 3_000_000, 1, 500_000)
        until = time.monotonic() + pause
        while time.monotonic() < until:
            seen.add(store.read_state("a1"))
        kill(writer)
        assert store.read_state("a1") in whole
    assert seen <= whole
    assert len(seen) > 1, "nothing was replaced while it was read"


@pytest.mark.parametrize("when", ["open", "write", "move"])
def test_a_write_that_fails_leaves_the_previous_file(store, monkeypatch, when):
    store.write_state("a1", 1, b"before")

    class Failing:
        """The storage's file system, which fails at one step."""

        def __init__(self, whole):
            self.whole = whole

        def __getattr__(self, name):
            if name == {"open": "open_output_stream", "move": "move"}.get(when):
                raise OSError("the disk is full")
            return getattr(self.whole, name)

        def open_output_stream(self, path):
            stream = self.whole.open_output_stream(path)
            stream.write(b"af")
            stream.close()
            return stream  # closed, so that the rest cannot be written

    monkeypatch.setattr(store, "system", Failing(store.system))
    with pytest.raises((OSError, ValueError)):
        store.write_state("a1", 2, b"after")
    assert Store(store.uri).read_state("a1") == b"before"
    assert files(store) == ["state-000001.pt"], "no temporary file is left"


def test_writers_of_one_row_do_not_mix(store):
    """If several writers write the same row at once, it is that of one of them, complete, and at no time missing."""
    texts = [letter * 2000 for letter in "abcd"]
    store.write_trial(trial_row(reason=texts[0]))

    def write(text):
        for _ in range(20):
            store.write_trial(trial_row(reason=text))

    with ThreadPoolExecutor(len(texts)) as pool:
        writers = [pool.submit(write, text) for text in texts]
        while not all(writer.done() for writer in writers):
            assert store.read_trial("a1")["reason"] in texts
    assert [writer.result() for writer in writers] == [None] * len(texts)
    store.write_trial(trial_row(reason="last"))
    assert store.read_trial("a1")["reason"] == "last"
    assert len(files(store)) == 1


def test_every_flipped_bit_of_a_file_is_noticed(store):
    store.write_trial(trial_row())
    store.write_evaluations("a1", "x", [evaluation_row()])
    store.write_measures("a1", "x", [measure_row()])
    store.write_weights("a1", 2, np.random.default_rng(0).bytes(1000))
    store.write_state("a1", 2, np.random.default_rng(1).bytes(1000))
    names = store.trials()["a1"]
    assert {name.table for name in names} == {"trial", "evaluations", "outcomes", "measures", "weights", "state"}
    flips = np.random.default_rng(2)
    for name in names:
        file = Path(store.root) / "trials" / "a1" / str(name)
        data = file.read_bytes()
        for _ in range(50):
            at = flips.integers(len(data))
            file.write_bytes(data[:at] + bytes([data[at] ^ 1 << flips.integers(8)]) + data[at + 1 :])
            with pytest.raises(BrokenRecordError, match=re.escape(str(file))):
                store.read_file("a1", name)
        for size in (0, 1, len(data) // 2, len(data) - 1):
            file.write_bytes(data[:size])
            with pytest.raises(BrokenRecordError, match="is damaged"):
                store.read_file("a1", name)
        file.write_bytes(data)
        assert store.read_file("a1", name) == data


# --- locks --------------------------------------------------------------------------------------------------------------

HOLDER = """
import sys, time
from orchestrator.record.store import Store
with Store(sys.argv[1]).exclusively(sys.argv[2]):
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_lock_holds_across_processes_and_is_released_with_its_process(store):
    store.create()
    holder = start(HOLDER, store.uri, "sync")
    try:
        with pytest.raises(Unavailable) as error, store.exclusively("sync"):
            pass
        assert str(error.value) == f"--storage {store.uri!r} is in use by another `advsweep sync`; wait for it or stop it"
        with store.exclusively("sync", part="mlflow"):
            pass
    finally:
        kill(holder)
    with store.exclusively("sync"):
        pass


def test_parts_of_a_purpose_do_not_wait_for_each_other(store):
    store.create()
    refused = pytest.raises(Unavailable, match="in use by another `advsweep sync`")
    with store.exclusively("sync", part="one"), store.exclusively("sync", part="other"), refused:
        store.exclusively("sync", part="one").__enter__()


def test_the_identity_of_a_storage_is_kept_when_it_moves(store, tmp_path):
    store.create()
    first = store.identity()
    assert store.identity() == Store(store.uri).identity() == first
    moved = (tmp_path / "storage").rename(tmp_path / "moved")
    assert Store(str(moved)).identity() == first
    assert Store(store.uri).identity() != first


def test_a_lock_is_waited_for(store):
    store.create()
    holder = start(HOLDER, store.uri, "sync")
    threading.Timer(0.3, kill, (holder,)).start()
    with store.exclusively("sync", timeout=60):
        pass
    holder.wait()


def test_a_lock_is_released_when_its_holder_fails(store):
    store.create()
    with pytest.raises(KeyError), store.exclusively("sync"):
        raise KeyError
    with store.exclusively("sync"):
        pass


# --- checkpoints without pickle -----------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return (print, ("run from a checkpoint",))


def test_the_files_of_a_trial_load_without_pickle(job):
    work = Work(job)
    work.advance()
    folder = Path(work.store.root) / "trials" / job.key
    state = torch.load(next(folder.glob("state-*.pt")), weights_only=True)
    assert state["trial"]["epoch"] == work.trial.epoch == 1
    loaded = safetensors.torch.load_file(next(folder.glob(f"weights-{work.trial.epoch:06d}.*.safetensors")))
    assert all(torch.equal(loaded[name], tensor) for name, tensor in work.trial.weights().items())
    assert {path.suffix for path in folder.iterdir()} == {".parquet", ".pt", ".safetensors"}


@pytest.mark.parametrize("write", [lambda x, f: pickle.dump(x, f, 2), lambda x, f: torch.save({"trial": x}, f)])
def test_a_pickle_in_place_of_the_state_is_refused(job, capsys, write):
    work = Work(job)
    work.advance()
    file = BytesIO()
    write(Evil(), file)
    work.store.write_state(job.key, work.trial.epoch, file.getvalue())
    with pytest.raises(pickle.UnpicklingError):
        Work(job)
    assert capsys.readouterr().out == ""


def test_weights_are_read_bit_for_bit():
    weights = {"a": torch.randn(3, 4).t(), "b": torch.tensor(5), "c": torch.tensor([float("nan"), -0.0], dtype=torch.float64)}
    back = unpack_weights(pack_weights(weights))
    assert back.keys() == weights.keys()
    for name, tensor in weights.items():
        assert (back[name].dtype, back[name].shape) == (tensor.dtype, tensor.shape)
        assert back[name].numpy().tobytes() == tensor.contiguous().numpy().tobytes()


def test_a_file_that_is_replaced_while_it_is_read_is_one_of_its_versions(store):
    # Each version has another size: a reader that opened the file twice would find one's footer and another's pages.
    versions = [[evaluation_row(f"e{i}") for i in range(count)] for count in (1, 40, 400)]
    measures = [[measure_row(f"m{i}", values=np.zeros(9)) for i in range(count)] for count in (1, 40, 400)]
    store.write_trial(trial_row())
    store.write_evaluations("a1", "x", versions[0])
    store.write_measures("a1", "x", measures[0])
    done = threading.Event()

    def write():
        while not done.is_set():
            for rows, others in zip(versions, measures, strict=True):
                store.write_evaluations("a1", "x", rows)
                store.write_measures("a1", "x", others)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            read = {len(store.read_evaluations("a1")) for _ in range(300)}
            read |= {len(store.recorded("a1").evaluations) for _ in range(100)}
            read |= {len(load(store.uri).evaluations) for _ in range(100)}
            read |= {len(store.read_measures("a1")) for _ in range(100)}
            read |= {len(load(store.uri).measures) for _ in range(50)}
            while len(read) < 2:  # on a busy machine the writer may not have written yet
                read.add(len(store.read_evaluations("a1")))
        finally:
            done.set()
        writer.result()
    assert read <= {1, 40, 400}
    assert len(read) > 1
