"""A folder that is no storage is refused and left alone; in a storage, only files of ours are ever deleted."""

import os
from pathlib import Path

import pytest

import advsweep
from orchestrator.record.files import Files
from orchestrator.record.inventory import is_storage
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store
from tests.orchestrator.record.test_store import trial_row
from tests.support.command_line import here
from tests.support.recorded_study import recorded_study

#: Files of a user's own that look a little like a storage's.
FOREIGN = (
    *("trials/run1/notes.txt", "trials/run1/trial-1.parquet", "trials/run1/weights-000001.pt", "environments/conda.txt"),
    *("studies/plan.json", "draft.tmp", ".draft.tmp", "token-secret", "identity", "claims/claim.1", "drivers/1.json"),
    *("drivers/1.lock", "segments/a.parquet", "mlflow.db", "trials/a.tmp/half", "environments/0123.txt"),
)

COMMANDS = (
    *(("gc", "--yes"), ("gc", "--only", "orphans", "--yes"), ("rm", "x/y", "--yes"), ("compact",), ("doctor",)),
    *(("status",), ("du",), ("sync",), ("ui",), ("export", "x/y", "--to", "there"), ("table", "x/y")),
)


def fill(folder: Path) -> dict[Path, bytes]:
    """Write the foreign files, two hours old; return the contents of every file."""
    for name in FOREIGN:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
        os.utime(file, (0, 0))
    return content(folder)


def content(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_folder_that_is_no_storage_is_refused_and_left(tmp_path: Path, command: tuple[str, ...]) -> None:
    before = fill(tmp_path)
    ended = here(*command, "--storage", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert "is no storage of advsweep" in line
    assert content(tmp_path) == before


@pytest.mark.parametrize("command", [*COMMANDS, ("plan", "cifs/table-5"), ("run", "cifs/table-5")], ids=" ".join)
@pytest.mark.parametrize("storage", ["file", ""])
def test_a_file_or_nothing_is_no_storage(tmp_path: Path, command: tuple[str, ...], storage: str) -> None:
    (tmp_path / "file").write_text("mine")
    ended = here(*command, "--storage", storage and tmp_path / storage)
    assert (ended.code, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    assert ("is not a folder" if storage else "--storage '': is empty") in line
    assert content(tmp_path) == {tmp_path / "file": b"mine"}


@pytest.mark.parametrize("name", FOREIGN)
def test_no_foreign_file_alone_makes_a_storage(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    assert is_storage(Files(tmp_path)) == name.startswith(".")  # which is as good as an empty folder


def test_what_a_run_leaves_first_makes_a_storage(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert is_storage(store)
    with store.token(), Claims.joined(store, "run"):
        (tmp_path / "notes.txt").touch()
        assert is_storage(store)
    assert not is_storage(store)
    store.write_trial(trial_row())
    assert is_storage(store)
    assert here("status", "--storage", tmp_path).code == 0


def test_files_of_others_in_a_storage_stay(tmp_path: Path) -> None:
    store, made = recorded_study(tmp_path)
    ours = {file for file in content(tmp_path) if "trials" in file.parts}
    before = fill(tmp_path)
    (tmp_path / "studies/plan.json").unlink()  # which a reader takes for a manifest
    note = tmp_path / "trials" / made.trials[0].key / "note.txt"
    note.write_text("mine")
    (tmp_path / made.manifests[0].path).unlink()
    store.delete_abandoned()
    freed = advsweep.gc(str(tmp_path), only=["orphans", "states", "superseded", "temporary"], yes=True)
    assert set(freed.trials) == {trial.key for trial in made.trials}
    after = content(tmp_path)
    assert not ours & after.keys()
    assert note in after
    assert {tmp_path / name for name in FOREIGN} - {tmp_path / "studies/plan.json"} <= after.keys() & before.keys()


def test_trials_of_a_lost_manifest_go_only_on_request(tmp_path: Path) -> None:
    store, made = recorded_study(tmp_path)
    manifest = tmp_path / made.manifests[0].path
    text = manifest.read_bytes()
    manifest.unlink()
    said = here("doctor", "--storage", tmp_path)
    assert "its study's manifest is lost, which the same `advsweep run` as before writes again" in said.out
    assert here("gc", "--storage", tmp_path, "--yes").code == 0
    assert len(store.trials()) == len(made.trials)
    assert advsweep.gc(str(tmp_path)).trials == ()
    assert "the study's run brings that back" in here("gc", "--only", "orphans", "--storage", tmp_path).out
    # Where a manifest is not readable, both name no orphan.
    for name in (manifest, manifest.with_name(f"{manifest.name}.damaged")):
        name.write_bytes(text[:-9])
        assert "orphaned" not in here("doctor", "--storage", tmp_path).out
        ended = here("gc", "--only", "orphans", "--storage", tmp_path)
        assert ended.code == 2
        assert "which trials its study needs is not known" in ended.err
        name.unlink()
    # One that was set aside counts no more once its study was run again.
    manifest.with_name(f"{manifest.name}.damaged").write_bytes(text[:-9])
    manifest.write_bytes(text)
    assert advsweep.gc(str(tmp_path), only=["orphans"]).trials == ()
