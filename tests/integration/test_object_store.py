"""A storage in an object store that speaks S3: the same numbers, few requests, and several drivers."""

import signal
from dataclasses import replace

import pytest

from analysis.record.load import load
from orchestrator.execution.work import Work
from orchestrator.record.compaction import compact
from orchestrator.record.doctor import examine
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store
from tests.support.command_line import (
    EPOCHS,
    advsweep,
    assert_kept,
    assert_once,
    epochs,
    evaluations,
    here,
    numbers,
    started,
    sweep,
    table,
)
from tests.support.object_store import object_store, object_store_keys
from tests.support.tiny_study import finish, jobs, tiny_plan

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with object_store(tmp_path_factory.mktemp("objects")) as made:
        yield made


def test_an_epoch_and_the_load_of_many_trials_take_few_requests(server):
    store = Store(server.uri("requests"))
    store.create()
    (job, *_) = jobs(tiny_plan(), store)
    work = Work(replace(job, runtime=replace(job.runtime, save_seconds=600)))
    work.advance()
    server.requests()
    work.advance()
    an_epoch = server.requests()
    assert an_epoch.total() < 12, an_epoch
    while not work.advance().done:
        pass
    server.requests()

    row, rows = store.read_trial(job.key), store.read_evaluations(job.key)
    ranks = {"ranks": [0] * 32 + [1] * 32, "accuracy": 0.5}
    for number in range(200):
        key = f"{number:016x}"
        store.write_trial({**row, "trial": key})
        store.write_evaluations(
            key, "p", [{**each, **ranks, "trial": key, "evaluation": f"{key}-{each['evaluation']}"} for each in rows]
        )
    compact(store)
    plain = load(server.uri("requests"))
    server.requests()
    loaded = load(server.uri("requests"))
    requests = server.requests()
    assert requests.total() / 201 < 0.1, requests
    assert len(loaded.trials) == 201
    assert len(loaded.evaluations) == len(plain.evaluations) == 201 * len(rows)


def test_weights_are_read_in_one_piece(server):
    store = Store(server.uri("weights"))
    store.create()
    store.write_weights("a1", 1, bytes(12_000_000))
    server.requests()
    assert store.read_weights("a1", 1) == bytes(12_000_000)
    assert server.requests()["GET"] == 2, "a listing, and the file"
    assert [found.path for found in examine(store).damaged] == ["trials/a1"], "its row, which was never there"


def test_drivers_share_an_object_store(server):
    store = Store(server.uri("claims"))
    store.create()
    with Claims.joined(store, "run") as first, Claims.joined(store, "run") as second:
        server.requests()
        assert first.claim("a") is None
        assert server.requests().total() <= 4
        assert second.claim("a") == first.driver
        first.release("a")
        assert second.claim("a") is None
    assert [info for folder in ("drivers", "claims") for info in store.entries(folder) if info.base_name] == []


def test_a_trial_in_an_object_store_equals_one_on_disk(server, tmp_path):
    on_disk, remote = Store(str(tmp_path / "disk")), Store(server.uri("equal"))
    for store in (on_disk, remote):
        store.create()
        for job in jobs(tiny_plan(), store)[:2]:
            finish(job)
    assert numbers(remote.uri) == numbers(on_disk.uri)


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_one_line(tmp_path):
    with object_store(tmp_path) as server:
        uri = server.uri("gone")
        Store(uri).create()
    with object_store_keys():
        for words in (("status",), ("table", "cifs/table-5"), ("gc", "--yes"), ("plan", "cifs/table-5", "--profile", "demo")):
            done = here(*words, "--storage", uri)
            assert done.code == 2, words
            [line] = done.err.splitlines()
            assert line.startswith("advsweep: --storage")


@pytest.mark.ray
@pytest.mark.alone
@pytest.mark.slow
def test_a_killed_sweep_in_an_object_store_is_finished_by_two_drivers(undisturbed, server, tmp_path):
    storage, views = server.uri("sweep"), {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    with started(*sweep(storage), folder=tmp_path, **views) as command:
        command.until(lambda: any(1 < len(rows) < EPOCHS for rows in epochs(storage).values()))
        command.send(signal.SIGKILL)
        command.wait()
        command.gone()
    before = epochs(storage), evaluations(storage)
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    one = sweep(storage, "--max-concurrent", "1")
    with started(*one, folder=folders[0], **views) as first, started(*one, folder=folders[1], **views) as second:
        ended = [command.wait() for command in (first, second)]
    assert [(done.code, done.err) for done in ended] == [(0, "")] * 2
    assert_kept(before[0], epochs(storage))
    assert_kept(before[1], evaluations(storage))
    assert_once(evaluations(storage))
    assert numbers(storage) == numbers(undisturbed[0])
    assert table(storage) == table(undisturbed[0])
    for words in (("plan", "cifs/table-5", "--profile", "demo"), ("status",), ("doctor",), ("compact",), ("du",)):
        assert here(*words, "--storage", storage).code == 0, words
    assert table(storage) == table(undisturbed[0])
    assert advsweep("gc", "--storage", storage, "--yes", **views).code == 0
