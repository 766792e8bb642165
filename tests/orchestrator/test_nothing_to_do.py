"""What `plan`, `status` and `run` do with a study that is recorded already: counted, so that large records stay fast."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import advsweep
from analysis.record.files import RecordFiles
from orchestrator.api import plans
from orchestrator.planning.plan import Plan
from orchestrator.record.store import Store
from tests.support.recorded_study import recorded_study
from tests.support.tiny_study import STUDY, tiny_plan
from tests.support.untrained_trials import answer, write
from trainables.config import identity

#: Of so many trials segments are read.
SEEDS = 4


@pytest.fixture
def compacted(tmp_path: Path) -> Store:
    """The storage of a study that has nothing left to run, all of whose rows are in segments."""
    store, _ = recorded_study(tmp_path / "storage", SEEDS)
    advsweep.compact(store.uri)
    return store


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often files are read, by the folder below the storage."""
    found: Counter[str] = Counter()
    original = RecordFiles.read

    def read(self: RecordFiles, path: str) -> bytes:
        found[path.partition("/")[0]] += 1
        return original(self, path)

    monkeypatch.setattr(RecordFiles, "read", read)
    return found


def planned(store: Store) -> Plan:
    return plans.plan_studies([STUDY], "demo", SEEDS, None, store)


def test_a_plan_opens_no_file_of_a_trial(compacted: Store, opened: Counter[str]) -> None:
    made = planned(compacted)
    expected = plans.estimate(made, storage=compacted.uri)
    assert (made.to_run, expected.total) == ((), 0.0)
    assert expected.source == f"{len(made.trials)} trials of this storage on cpu"
    assert set(opened) == {"segments"}


def test_the_timings_of_what_is_left_come_from_segments_too(compacted: Store, opened: Counter[str]) -> None:
    longer = plans.plan_studies([STUDY], "demo", SEEDS, {"training.epochs": 50}, compacted)
    found = plans.estimate(longer, storage=compacted.uri)
    assert found.total is not None
    assert found.total > 0
    assert set(opened) == {"segments"}


def test_status_reads_each_segment_once(compacted: Store, opened: Counter[str]) -> None:
    found = advsweep.status(compacted.uri)
    assert found.trials["finished"] == 3 * SEEDS
    assert found.hours == pytest.approx(2 * 3 * SEEDS / 3600)  # a second of training, and one run of attacks
    assert opened["segments"] == len(compacted.entries("segments"))
    assert not opened["trials"]


def test_versions_and_attacks_are_looked_up_as_often_for_one_seed_as_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study's seeds share all but their keys."""
    asked: Counter[str] = Counter()
    versions, key = identity.versions, identity._key
    monkeypatch.setattr(identity, "versions", lambda spec: asked.update(["versions"]) or versions(spec))
    monkeypatch.setattr(identity, "_key", lambda kind, *parts: asked.update([kind]) or key(kind, *parts))
    counts = []
    for seeds in (1, 20):
        asked.clear()
        made = tiny_plan(seeds=seeds)
        assert len(made.trials) == 3 * seeds
        counts.append({kind: asked[kind] for kind in ("versions", "attack", "measure")})
    assert counts[0] == counts[1]
    assert counts[0]["versions"] > 0


RUN = """
import json, sys
from orchestrator.cli import main
sys.argv = ["advsweep", *json.loads(sys.argv[1])]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(json.dumps(sorted({"ray", "torch", "mlflow"} & {*sys.modules})))
"""


def test_a_run_imports_neither_ray_nor_torch_nor_mlflow(tmp_path: Path) -> None:
    named: dict[str, Any] = {"profile": "demo", "seeds": 1, "settings": {"training.epochs": 2}}
    store = Store(str(tmp_path / "storage"))
    made = advsweep.plan("cifs/table-5", storage=store.uri, **named)
    for trial in made.trials:
        write(store, trial)
        answer(store, trial, {e.label: 0.5 for e in trial.evaluations})
    options = ["--profile", "demo", "--seeds", "1", "--set", "training.epochs=2", "--storage", store.uri, "--no-tracking"]
    command = [sys.executable, "-c", RUN, json.dumps(["run", "cifs/table-5", *options])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, *_, loaded = done.stdout.splitlines()
    assert first.endswith(f"{len(made.trials)} there already, 0 to train; 0 evaluations to run")
    assert json.loads(loaded) == []
    assert [manifest.study for manifest in store.manifests()] == ["cifs/table-5"]
