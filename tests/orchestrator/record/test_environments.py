"""Texts that many trials share: kept once, verified, taken along, and deleted when no trial names them."""

from dataclasses import replace
from pathlib import Path

import pytest

import advsweep
from analysis.record.files import BrokenRecordError
from analysis.record.names import digest
from orchestrator.record.doctor import Kind, examine
from orchestrator.record.environments import environment_path, environments, read_environment, write_environment
from orchestrator.record.store import Store
from tests.support.recorded_study import recorded_study

PACKAGES, DIFF = "numpy==2.4\ntorch==2.11\n", "-eps = 8\n+eps = µ\n"


@pytest.fixture
def named(tmp_path: Path) -> tuple[Store, list[str]]:
    """A storage whose trials name two texts, and the trials' keys; one trial alone has the second."""
    store, made = recorded_study(tmp_path / "storage", seeds=1)
    keys = [trial.key for trial in made.trials]
    for key in keys:
        text = write_environment(store, DIFF) if key == keys[0] else ""
        store.write_trial({**store.read_trial(key), "packages": write_environment(store, PACKAGES), "diff": text})
    return store, keys


def flip(store: Store, text: str) -> None:
    file = Path(store.path(environment_path(digest(text.encode()))))
    file.write_bytes(b"x" + file.read_bytes()[1:])


def test_a_text_is_read_by_its_digest(named: tuple[Store, list[str]]) -> None:
    store, keys = named
    row = store.read_trial(keys[0])
    assert read_environment(store, row["packages"]).decode() == PACKAGES
    assert read_environment(store, row["diff"]).decode() == DIFF
    assert sorted(environments(store)) == sorted([row["packages"], row["diff"]])
    flip(store, DIFF)
    with pytest.raises(BrokenRecordError, match="is damaged: its bytes are not those that were written"):
        read_environment(store, row["diff"])
    with pytest.raises(FileNotFoundError):
        read_environment(store, "0" * 16)


def test_the_doctor_finds_damaged_lost_and_orphaned_texts(named: tuple[Store, list[str]]) -> None:
    store, keys = named
    before = examine(store)
    assert not [finding for finding in before.findings if "environments" in finding.path]
    lost, orphan = environment_path(digest(PACKAGES.encode())), write_environment(store, "of nobody")
    flip(store, DIFF)
    store.delete(lost)
    found = {finding.path: finding for finding in examine(store).findings if "environments" in finding.path}
    assert {path: finding.kind for path, finding in found.items()} == {
        environment_path(store.read_trial(keys[0])["diff"]): Kind.DAMAGED,
        environment_path(orphan): Kind.ORPHANED,
        lost: Kind.DAMAGED,
    }
    assert "it is lost, and no number needs it" in found[lost].remedy
    assert advsweep.render(advsweep.table("tiny/table", storage=store.uri)), "a table needs none of them"


def test_an_export_takes_along_what_its_trials_name(named: tuple[Store, list[str]], tmp_path: Path) -> None:
    store, _ = named
    write_environment(store, "of nobody")
    advsweep.export(["tiny/table"], tmp_path / "paper", storage=store.uri)
    exported = Store(str(tmp_path / "paper"))
    assert {read_environment(exported, found).decode() for found in environments(exported)} == {PACKAGES, DIFF}
    assert not [finding for finding in examine(exported).findings if "environments" in finding.path]


def test_sizes_are_counted_and_what_no_trial_names_goes(named: tuple[Store, list[str]]) -> None:
    store, keys = named
    write_environment(store, "of nobody")
    assert advsweep.du(store.uri).kinds["environments"] == len(PACKAGES.encode()) + len(DIFF.encode()) + len("of nobody")
    advsweep.gc(store.uri, only=["states", "orphans"], yes=True)
    assert len(environments(store)) == 3
    before = advsweep.gc(store.uri, only=["superseded"])
    done = advsweep.gc(store.uri, only=["superseded"], yes=True)
    assert done == replace(before, done=True)
    assert done.size["superseded"] >= len("of nobody")
    assert {read_environment(store, found).decode() for found in environments(store)} == {PACKAGES, DIFF}
    advsweep.rm(trials=[keys[0]], storage=store.uri, yes=True)
    advsweep.gc(store.uri, yes=True)
    assert {read_environment(store, found).decode() for found in environments(store)} == {PACKAGES}
