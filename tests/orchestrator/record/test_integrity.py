"""Damaged files are noticed, set aside by what works on a trial, and only what they held is made anew."""

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from analysis.record.files import BrokenRecordError, trial_path
from analysis.record.load import load
from analysis.record.names import newest
from analysis.record.rows import read_segment, segments
from analysis.record.schema import Status
from orchestrator.cost import room
from orchestrator.cost.room import check_room, checkpoint_bytes
from orchestrator.errors import DiskFull
from orchestrator.execution.job import Job
from orchestrator.execution.work import Work
from orchestrator.record.compaction import compact
from orchestrator.record.doctor import Kind, examine
from orchestrator.record.store import Store, WeightsNotFoundError
from tests.orchestrator.record.test_store import evaluation_row, failure_row, measure_row, trial_row
from tests.support.damage import DAMAGE, damage, files, flipped
from tests.support.shared import once
from tests.support.tiny_study import EPOCHS, finish, jobs, tiny_plan
from trainables.trial import Trial

TEMPORARY = f".state.{32 * '0'}.tmp"


@pytest.fixture
def trained(tmp_path: Path) -> Store:
    """A copy of a storage in which the tiny study's trials are finished; the first epoch of one is its best."""

    def make(folder: Path) -> None:
        store = Store(str(folder / "storage"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trial, "_select", lambda self: (0.5, 1 / self.epoch))
            finish(jobs(tiny_plan(), store)[0])
        for job in jobs(tiny_plan(), store):
            finish(job)
        for manifest in tiny_plan().manifests:
            store.write_manifest(manifest)

    return Store(str(shutil.copytree(once("tiny-trained", make) / "storage", tmp_path / "storage")))


def numbers(store: Store) -> dict[str, Any]:
    """Return all numbers of a storage, without times."""
    record = load(store.uri)
    evaluations = record.evaluations.sort_values(["evaluation", "head"], ignore_index=True)
    return {
        "evaluations": evaluations[["evaluation", "head", "accuracy", "examples", "epoch"]].to_dict(),
        "ranks": [record.outcomes.of(row).ranks.tolist() for row in evaluations.itertuples()],
        "trials": record.trials.set_index("trial")[["status", "epochs", "best_epoch"]].sort_index().to_dict(),
        "epochs": record.epochs.sort_values(["trial", "epoch"], ignore_index=True)[["trial", "epoch", "train_loss"]].to_dict(),
        "weights": {path.name: path.read_bytes() for path in Path(store.root).glob("trials/*/*.safetensors")},
    }


def again(store: Store, verify: bool = False) -> tuple[list[str], list[Work]]:
    """Do what a run does without Ray: set aside what is damaged, and work on what is missing; return the former."""
    aside: list[str] = []
    mending = Store(store.uri, aside.append)
    if verify:
        mending.verify(tiny_plan().keys)
    done = []
    for job in jobs(tiny_plan(), mending):
        work = Work(job)
        while not (report := work.advance()).done:
            aside += report.damaged
        aside += report.damaged
        done.append(work)
    return aside, done


@contextmanager
def trained_as_before(before: Mapping[str, Any], trial: str) -> Iterator[None]:
    """Let a trial whose first epoch was its best have the same best epoch again."""
    with pytest.MonkeyPatch.context() as patch:
        if before["trials"]["best_epoch"][trial] == 1:
            patch.setattr(Trial, "_select", lambda self: (0.5, 1 / self.epoch))
        yield


# --- what is noticed ----------------------------------------------------------------------------------------------------


def test_every_flipped_bit_is_noticed_or_harmless(store: Store) -> None:
    store.write_trial(trial_row())
    store.write_evaluations("a1", "x", [evaluation_row()])
    store.write_measures("a1", "x", [measure_row()])
    store.write_weights("a1", 2, np.random.default_rng(0).bytes(500))
    store.write_state("a1", 2, np.random.default_rng(1).bytes(500))
    manifest = tiny_plan().manifests[0]
    store.write_manifest(manifest)
    identity = store.identity()
    compact(store)
    index = store.index()
    for kind in ("trial", "evaluations", "outcomes", "measures", "weights", "state"):
        (name,) = newest(store.trials()["a1"], kind)
        file = Path(store.path(trial_path("a1", name)))
        data = file.read_bytes()
        for seed in range(300):
            file.write_bytes(flipped(data, seed))
            with pytest.raises(BrokenRecordError, match="is damaged"):
                store.read_file("a1", name)
        file.write_bytes(data)
    for name in segments(store):
        file = Path(store.path("segments", str(name)))
        data = file.read_bytes()
        for seed in range(300):
            file.write_bytes(flipped(data, seed))
            assert read_segment(store, name, pa.schema([("trial", pa.string())])) is None
    assert store.index() == index  # from the trials' files
    file, data = Path(store.path(manifest.path)), Path(store.path(manifest.path)).read_bytes()
    for seed in range(300):
        file.write_bytes(flipped(data, seed))
        with suppress(BrokenRecordError):
            assert store.read_manifest(manifest.path) == manifest
    file = Path(store.path("identity"))
    data = file.read_bytes()
    for seed in range(300):
        file.write_bytes(flipped(data, seed))
        with pytest.raises(BrokenRecordError, match="identity is damaged"):
            store.identity()
    file.write_bytes(data)
    assert store.identity() == identity


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"digest": 1, "study": "x"}'])
def test_a_torn_manifest_is_named(store: Store, text: str) -> None:
    manifest = tiny_plan().manifests[0]
    store.write(manifest.path, text.encode())
    with pytest.raises(BrokenRecordError, match=r"demo\.json is damaged: ") as error:
        store.manifests()
    assert "\n" not in str(error.value)
    aside: list[str] = []
    assert Store(store.uri, aside.append).read_manifest(manifest.path) is None
    assert aside == [store.path(manifest.path)]
    assert store.manifests() == []


# --- what is made anew --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("kind", ["trial", "evaluations", "outcomes"])
def test_what_a_damaged_file_held_is_made_anew_and_no_more(trained: Store, kind: str, how: str) -> None:
    before = numbers(trained)
    file = damage(files(Path(trained.root), kind)[0], how)
    data = file.read_bytes()
    with trained_as_before(before, file.parent.name):
        aside, (work,) = again(trained, verify=True)
    assert aside == [str(file)]
    assert Path(f"{file}.damaged").read_bytes() == data
    assert numbers(trained) == before
    # Without a row nobody knows the epochs of a training that has ended: it is trained again, and not evaluated.
    assert bool(work.rows) == (kind != "trial")
    assert again(trained, verify=True) == ([], [])


@pytest.mark.parametrize("which", ["best", "last"])
def test_damaged_weights_are_known_to_the_plan_and_trained_again(trained: Store, which: str) -> None:
    before = numbers(trained)
    trial = next(key for key, row in before["trials"]["best_epoch"].items() if row == 1)
    weights = {name.order: name for name in trained.trials()[trial] if name.table == "weights"}
    file = damage(Path(trained.path(trial_path(trial, weights[1 if which == "best" else EPOCHS]))))
    assert jobs(tiny_plan(), trained) == []  # nobody has opened them
    aside: list[str] = []
    Store(trained.uri, aside.append).verify(tiny_plan().keys)
    assert aside == [str(file)]
    assert trained.recorded(trial).status == Status.UNFINISHED
    assert tiny_plan().against(trained.index()).counts()["trials_to_run"] == 1
    with trained_as_before(before, trial):
        assert [work.job.key for work in again(trained)[1]] == [trial]
    assert numbers(trained) == before


def test_weights_that_are_damaged_when_they_are_opened_are_made_anew_in_the_same_work(trained: Store) -> None:
    before = numbers(trained)
    (evaluations, *_) = files(Path(trained.root), "evaluations")
    trial = evaluations.parent.name
    evaluations.unlink()
    damaged = [damage(file) for file in evaluations.parent.glob("weights-*")]
    with trained_as_before(before, trial):
        aside, done = again(trained)
    assert set(aside) <= set(map(str, damaged))
    assert aside
    assert [work.job.key for work in done] == [trial]
    assert numbers(trained) == before


def test_an_unfinished_training_with_a_damaged_state_begins_anew(store: Store, job: Job) -> None:
    Work(job).advance()
    (state,) = files(Path(store.root), "state")
    damage(state)
    work = Work(job)
    assert (work.trial.epoch, work.damaged) == (0, [str(state)])
    assert work.advance().damaged == (str(state),)


def test_a_disk_that_damages_what_is_made_anew_is_an_error(store: Store) -> None:
    mending = Store(store.uri, lambda path: None)
    store.write_weights("a1", 1, b"weights")
    (file,) = files(Path(store.root), "weights")
    for expected in (WeightsNotFoundError, BrokenRecordError):
        store.write_weights("a1", 1, b"weights")
        damage(file)
        with pytest.raises(expected):
            mending.read_weights("a1", 1)


# --- the examination ----------------------------------------------------------------------------------------------------


def test_a_sound_storage_has_no_findings(trained: Store) -> None:
    trained.identity()
    key = next(iter(trained.trials()))
    trained.write_failures(key, "x", [failure_row("e1", "too steep", trial=key)])
    compact(trained)
    found = examine(trained)
    assert found.findings == ()
    assert str(found) == f"{sum(map(len, trained.trials().values())) + 4} files verified: all is well"


@pytest.mark.parametrize("kind", ["trial", "evaluations", "outcomes", "weights", "manifest", "identity"])
def test_every_damaged_file_is_found_and_left(trained: Store, kind: str) -> None:
    trained.identity()
    file = damage(files(Path(trained.root), kind)[0])
    before = {path: path.read_bytes() for path in Path(trained.root).rglob("*") if path.is_file()}
    assert [finding.path for finding in examine(trained).damaged] == [str(file.relative_to(trained.root))]
    assert {path: path.read_bytes() for path in Path(trained.root).rglob("*") if path.is_file()} == before


def test_leftovers_are_found(trained: Store) -> None:
    trained.write_trial(trial_row("alone", epochs=2, best_epoch=2))
    trained.write_weights("alone", 1, b"old")
    trained.write_evaluations("alone", "x", [evaluation_row(trial="alone")])
    folder = Path(trained.root, "trials", "alone")
    (evaluations,) = folder.glob("evaluations-*")
    evaluations.unlink()
    trained.write_evaluations("alone", "y", [evaluation_row("e2", trial="alone")])
    (outcomes,) = folder.glob("outcomes-y-*")
    outcomes.unlink()
    (row,) = folder.glob("trial-*")
    older = row.read_bytes()
    trained.write_trial(trial_row("alone", epochs=2, best_epoch=2))
    row.write_bytes(older)
    (folder / TEMPORARY).touch()
    (folder / "my.tmp").touch()  # not of ours
    (folder / "state-000001.0123456789abcdef.pt.damaged").touch()
    found = [(finding.kind, Path(finding.path).name.partition("-0")[0]) for finding in examine(trained).findings]
    assert sorted(found) == [
        (Kind.DAMAGED, "evaluations-y"),
        (Kind.DOUBLED, "trial"),
        (Kind.HALF_WRITTEN, TEMPORARY),
        (Kind.LOST, "alone"),
        (Kind.ORPHANED, "alone"),
        (Kind.ORPHANED, "outcomes-x"),
        (Kind.ORPHANED, "weights"),
        (Kind.SET_ASIDE, "state"),
    ]


def test_an_accuracy_that_is_not_that_of_its_ranks_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write_trial(trial_row())
    monkeypatch.setattr(np, "isclose", lambda *a, **more: True)
    store.write_evaluations("a1", "x", [evaluation_row(accuracy=0.75)])
    monkeypatch.undo()
    (finding,) = examine(store).damaged
    assert "an accuracy is not that of its ranks" in str(finding)


# --- writing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store.write_trial(trial_row(reason="before"))

    def full(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="no space left on its disk; make room and run the same command again") as error:
        store.write_trial(trial_row(reason="after"))
    assert "\n" not in str(error.value)
    assert store.temporaries() == []
    assert store.read_trial("a1")["reason"] == "before"


def test_a_file_is_on_the_disk_before_it_is_seen(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    flush = os.fsync

    def noted(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    store.write_weights("a1", 1, b"weights")
    folder = store.path("trials", "a1")
    assert flushed[0].endswith(".tmp")
    assert flushed[1:] == [folder, store.path("trials")]


def test_what_a_killed_writer_left_is_deleted_after_an_hour(store: Store) -> None:
    store.write_trial(trial_row())
    old, new = Path(store.root, "trials/a1", TEMPORARY), Path(store.root, TEMPORARY)
    foreign = Path(store.root, "thesis.tmp")
    for file in (old, new, foreign):
        file.touch()
        os.utime(file, (time.time() - 4000 * (file != new),) * 2)
    store.delete_abandoned()
    assert store.temporaries() == [str(new)]
    assert foreign.exists()


def test_room_is_checked_for_trials_that_are_begun(trained: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny_plan()
    kept = sum(file.stat().st_size for file in files(Path(trained.root), "weights"))
    assert kept < checkpoint_bytes(made) < 3 * kept  # where the best epoch is the last, they are one
    assert checkpoint_bytes(made.against(trained.index())) == 0
    check_room(made, trained)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(DiskFull, match=r"take about .* GB, and its disk has 1e-06 GB left; make room, or run fewer trials"):
        check_room(made, trained)
    with pytest.raises(DiskFull, match="take about"):
        check_room(made, Store(str(tmp_path / "nowhere/yet")))
    check_room(made.against(trained.index()), trained)


def test_the_digest_of_a_manifest_is_that_of_its_other_fields(store: Store) -> None:
    manifest = tiny_plan().manifests[0]
    store.write_manifest(manifest)
    fields = json.loads(store.read(manifest.path))
    store.write(manifest.path, json.dumps(fields).encode())  # other white space
    assert store.read_manifest(manifest.path) == manifest
    store.write(manifest.path, json.dumps({**fields, "title": "another"}).encode())
    with pytest.raises(BrokenRecordError, match="its fields are not those that were written"):
        store.read_manifest(manifest.path)
    store.write_manifest(replace(manifest, title="another"))
    assert store.read_manifest(manifest.path).title == "another"


def test_the_examination_says_which_command_mends(trained: Store) -> None:
    file = damage(files(Path(trained.root), "outcomes")[0])
    (finding,) = examine(trained).damaged
    command = f"`advsweep run tiny/table --profile demo --seeds 1 --study-file FILE --storage {trained.uri} --verify`"
    assert str(finding) == f"damaged: {file.relative_to(trained.root)}: {command} makes anew what is needed of it"


def test_the_command_for_a_study_of_the_catalogue_names_no_file(trained: Store) -> None:
    (manifest,) = tiny_plan().manifests
    Path(trained.root, manifest.path).unlink()
    trained.write_manifest(replace(manifest, study="cifs/table-5"))
    damage(files(Path(trained.root), "outcomes")[0])
    (finding,) = examine(trained).damaged
    assert "--study-file" not in str(finding)


def test_lost_weights_are_found_and_trained_again_on_request(trained: Store) -> None:
    before = numbers(trained)
    trial = next(key for key, row in before["trials"]["best_epoch"].items() if row == 1)
    for file in Path(trained.root, "trials", trial).glob("weights-*"):
        file.unlink()
    found = examine(trained)
    (finding,) = found.findings
    assert (finding.kind, finding.path, found.damaged) == (Kind.LOST, f"trials/{trial}", ())
    assert "the weights of its best epoch and its last epoch are not here" in str(finding)
    assert tiny_plan().against(trained.index()).to_run == ()
    trained.reopen_lost(tiny_plan().keys)
    assert [planned.key for planned in tiny_plan().against(trained.index()).to_run] == [trial]
    with trained_as_before(before, trial):
        assert [work.job.key for work in again(trained)[1]] == [trial]
    assert numbers(trained) == before


@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_what_may_not_train_leaves_out_what_has_no_weights(trained: Store, how: str) -> None:
    (file, *_) = files(Path(trained.root), "evaluations")
    file.unlink()
    for weights in file.parent.glob("weights-*"):
        damage(weights) if how == "damaged" else weights.unlink()
    (job,) = jobs(tiny_plan(), trained)
    work = Work(replace(job, train=False))
    epochs = work.trial.epoch
    while not (report := work.advance()).done:
        pass
    assert work.trial.epoch == epochs
    assert report.not_run.keys() == {evaluation.name for evaluation in job.evaluations}
    assert set(report.not_run.values()) == {"its weights are lost; `advsweep run` with --verify trains it again"}
