"""The record: what is written is read again, completely or not at all, and locks keep other processes out."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from analysis.load import array as loaded_array
from analysis.load import load
from analysis.schema import EPOCHS, EVALUATIONS, MEASURES, TRIAL, Status
from orchestrator.errors import Unavailable
from orchestrator.execution.work import Work
from orchestrator.record.columns import flatten
from orchestrator.record.recorded import Recorded
from orchestrator.record.store import Store
from tests.support.tiny_study import RUNTIME, finish, tiny_plan
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
    return row | {"device": "cpu", "versions": "{}", "seconds": 1.5, "created": NOW, "updated": NOW} | changed


def epoch_row(epoch, **changed):
    row = {"trial": "a1", "epoch": epoch, "lr": 0.1, "train_loss": 2.0, "train_accuracy": 0.25, "natural_accuracy": 0.5}
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
    return row | {"class_accuracy": [0.5, 0.25], "seconds": 1.0, "finished": NOW} | changed


def measure_row(key="m1", array="a", values=0.0, **changed):
    row = {"measurement": key, "trial": "a1", "checkpoint": "best", "epoch": 2, "measure": "k", "measure_name": "dimensions"}
    row |= {"measure_spec": "{}", "array": array, "values": np.asarray(values), "seconds": 1.0, "finished": NOW}
    return row | changed


def files(store, folder="trials/a1"):
    return sorted(os.listdir(f"{store.root}/{folder}"))


# --- round trips --------------------------------------------------------------------------------------------------------


def test_a_written_trial_is_read(store):
    assert store.read_trial("a1") is None
    row = trial_row(reason="µ, 'quotes'\tand all", status=Status.FAILED)
    store.write_trial(row, {"module": {"name": "cas", "beta": 2.0, "positions": ["P1"]}, "attack": None, "seed": 7})
    assert store.read_trial("a1") == row
    table = pq.read_table(f"{store.root}/trials/a1/trial.parquet", partitioning=None)
    assert table.schema.names[: len(TRIAL)] == TRIAL.names
    assert {n: table[n][0].as_py() for n in table.schema.names if n.startswith("config.")} == {
        "config.module.name": "cas",
        "config.module.beta": 2.0,
        "config.module.positions": '["P1"]',
        "config.seed": 7,
    }


def test_written_epochs_replace_the_ones_before(store):
    assert store.read_epochs("a1") == []
    store.write_epochs("a1", [epoch_row(1), epoch_row(2, robust_accuracy=None)])
    assert store.read_epochs("a1") == [epoch_row(1), epoch_row(2, robust_accuracy=None)]
    store.write_epochs("a1", [epoch_row(1)])
    assert store.read_epochs("a1") == [epoch_row(1)]


def test_evaluations_are_read_from_all_parts(store):
    assert store.read_evaluations("a1") == []
    store.write_evaluations("a1", "x", [evaluation_row("e1"), evaluation_row("e1", "1")])
    store.write_evaluations("a1", "y", [evaluation_row("e2")])
    store.write_evaluations("a1", "x", [evaluation_row("e1"), evaluation_row("e1", "1"), evaluation_row("e3")])
    keys = [("e1", "1"), ("e1", "final"), ("e2", "final"), ("e3", "final")]
    expected = [evaluation_row(key, head) for key, head in keys]
    for row in expected:
        del row["ranks"], row["broken"], row["distance"]
    assert sorted(store.read_evaluations("a1"), key=lambda row: (row["evaluation"], row["head"])) == expected
    table = pq.read_table(f"{store.root}/trials/a1/evaluations-y.parquet", partitioning=None)
    assert table.schema.equals(EVALUATIONS)
    assert table["ranks"].to_pylist() == [[0, 9]]
    assert table["broken"].to_pylist() == [[65535, 3]]
    assert table["distance"].to_pylist() == [None]


def test_distances_are_read_infinite_ones_too(store):
    distance = np.array([0, 0.25, np.inf], np.float32)
    store.write_evaluations("a1", "x", [evaluation_row("e1", distance=distance, broken=None)])
    table = pq.read_table(f"{store.root}/trials/a1/evaluations-x.parquet", partitioning=None)
    assert table["distance"].to_pylist() == [distance.tolist()]
    assert table["broken"].to_pylist() == [None]


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
    table = pq.read_table(f"{store.root}/trials/a1/measures-x.parquet", partitioning=None)
    assert table.schema.equals(MEASURES)
    assert table["shape"].to_pylist() == [list(values.shape) for values in ARRAYS.values()]
    record = load(store.uri)
    for name, values in ARRAYS.items():
        assert loaded_array(record, "m1", name).tobytes() == values.astype(np.float64).tobytes()


def test_the_index_knows_measurements(store):
    store.write_trial(trial_row(), {})
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


def test_an_evaluation_without_a_newer_column_is_read(store):
    store.write_trial(trial_row(), {})
    store.write_evaluations("a1", "x", [evaluation_row("e1")])
    path = f"{store.root}/trials/a1/evaluations-x.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns("class_accuracy"), path)
    store.write_evaluations("a1", "y", [evaluation_row("e2")])
    assert {row["evaluation"]: row["accuracy"] for row in store.read_evaluations("a1")} == {"e1": 0.5, "e2": 0.5}
    found = load(store.uri).evaluations.set_index("evaluation")["class_accuracy"]
    assert found["e1"] is None
    assert found["e2"].tolist() == [0.5, 0.25]


def test_the_epochs_file_has_the_schema(store):
    store.write_epochs("a1", [epoch_row(1)])
    assert pq.read_table(f"{store.root}/trials/a1/epochs.parquet", partitioning=None).schema.equals(EPOCHS)


def test_written_weights_and_state_are_read(store):
    assert store.read_state("a1") is None
    store.write_state("a1", b"state")
    store.write_weights("a1", 12, b"twelve")
    assert (store.read_state("a1"), store.read_weights("a1", 12)) == (b"state", b"twelve")
    assert files(store) == ["state.pt", "weights-0012.safetensors"]
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
    store.write_state("a1", b"")
    store.write_epochs("a1", [epoch_row(1)])
    store.keep_weights("a1", {2, 10000, 0})
    assert files(store) == ["epochs.parquet", "state.pt", "weights-0002.safetensors", "weights-10000.safetensors"]
    assert files(store, "trials/b2") == ["weights-0001.safetensors"]


def test_temporary_files_of_a_killed_writer_are_deleted(store):
    store.write_weights("a1", 1, b"")
    for name in (".weights-0001.safetensors.abc.tmp", ".state.pt.def.tmp"):
        Path(f"{store.root}/trials/a1/{name}").write_bytes(b"half")
    store.keep_weights("a1", {1})
    assert files(store) == ["weights-0001.safetensors"]


# --- index --------------------------------------------------------------------------------------------------------------


def test_the_index_knows_status_epochs_and_evaluations(store):
    store.write_trial(trial_row("a1"), {})
    store.write_trial(trial_row("b2", status=Status.FAILED, reason="out of memory", epochs=1), {})
    store.write_evaluations("a1", "x", [evaluation_row("e1"), evaluation_row("e1", "1")])
    store.write_evaluations("a1", "y", [evaluation_row("e2")])
    assert store.trials() == ["a1", "b2"]
    assert store.index(["b2", "a1", "a1", "unknown"]) == {
        "a1": Recorded(Status.FINISHED, "", 3, frozenset({"e1", "e2"})),
        "b2": Recorded(Status.FAILED, "out of memory", 1, frozenset()),
    }
    assert store.index([]) == {}


def test_the_index_ignores_other_files(store):
    assert store.index(["a1"]) == {}
    store.write_trial(trial_row("a1"), {})
    trials = Path(store.root) / "trials"
    (trials / "empty").mkdir()
    (trials / ".hidden").mkdir()
    (trials / "file").write_text("x")
    (trials / "a1" / ".evaluations-x.parquet.1.tmp").write_text("half")
    (trials / "a1" / "notes.txt").write_text("mine")
    assert store.trials() == ["a1", "empty"]
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
    Store(str(tmp_path / "s")).write_trial(trial_row(), {})
    other = Store((tmp_path / "s").as_uri())
    assert (other.uri, other.root, other.local) == ((tmp_path / "s").as_uri(), str(tmp_path / "s"), True)
    assert other.trials() == ["a1"]
    assert Store(other.uri).trials() == ["a1"]


def test_a_relative_folder_stays_the_same_when_the_working_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Store("here").uri == str(tmp_path / "here")


def test_a_storage_in_memory():
    """Every file system of pyarrow can hold a storage."""
    store = Store("mock:///record")
    store.create()
    assert not store.local
    store.write_epochs("a1", [epoch_row(1)])
    store.write_weights("a1", 1, b"one")
    store.write_weights("a1", 2, b"two")
    store.keep_weights("a1", {2})
    assert store.read_epochs("a1") == [epoch_row(1)]
    with pytest.raises(FileNotFoundError):
        store.read_weights("a1", 1)
    with store.exclusively("run"), store.exclusively("run"):  # such a storage has no locks
        assert not store.held("run")


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
        store.write_state("a1", bytes([letter]) * size)
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
    store.write_state("a1", b"c" * 500_000)
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
    store.write_state("a1", b"before")

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

    monkeypatch.setattr(store, "_fs", Failing(store._fs))
    with pytest.raises((OSError, ValueError)):
        store.write_state("a1", b"after")
    assert Store(store.uri).read_state("a1") == b"before"


def test_writers_of_one_file_do_not_mix(store):
    """If several writers write the same file at once, it is that of one of them, complete."""
    texts = [bytes([letter]) * 200_000 for letter in b"abcd"]

    def write(text):
        for _ in range(20):
            store.write_state("a1", text)

    with ThreadPoolExecutor(len(texts)) as pool:
        writers = [pool.submit(write, text) for text in texts]
        while not all(writer.done() for writer in writers):
            assert store.read_state("a1") in {None, *texts}
    assert [writer.result() for writer in writers] == [None] * len(texts)
    assert store.read_state("a1") in texts
    assert files(store) == ["state.pt"]


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
    assert not store.held("run")
    holder = start(HOLDER, store.uri, "run")
    try:
        assert store.held("run")
        assert not store.held("sync")
        with pytest.raises(Unavailable) as error, store.exclusively("run"):
            pass
        assert str(error.value) == f"--storage {store.uri!r} is in use by another `advsweep run`; wait for it or stop it"
        with store.exclusively("sync"):
            pass
    finally:
        kill(holder)
    assert not store.held("run")
    with store.exclusively("run"):
        assert store.held("run")
    assert not store.held("run")


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
    with pytest.raises(KeyError), store.exclusively("run"):
        raise KeyError
    assert not store.held("run")


# --- checkpoints without pickle -----------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return (print, ("run from a checkpoint",))


def test_the_files_of_a_trial_load_without_pickle(job):
    work = finish(job)
    folder = Path(work.store.root) / "trials" / job.key
    state = torch.load(folder / "state.pt", weights_only=True)
    assert state["trial"]["epoch"] == work.trial.epoch
    loaded = safetensors.torch.load_file(folder / f"weights-{work.trial.epoch:04d}.safetensors")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in work.trial.weights().items())
    assert {path.suffix for path in folder.iterdir()} == {".parquet", ".pt", ".safetensors"}


@pytest.mark.parametrize("write", [lambda x, f: pickle.dump(x, f, 2), lambda x, f: torch.save({"trial": x}, f)])
def test_a_pickle_in_place_of_the_state_is_refused(job, capsys, write):
    work = Work(job)
    work.advance()
    with open(f"{work.store.root}/trials/{job.key}/state.pt", "wb") as file:
        write(Evil(), file)
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
    store.write_trial(trial_row(), {})
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
