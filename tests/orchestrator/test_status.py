"""What a storage holds and has cost, and where the best networks are."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import advsweep
from analysis.record import rows
from analysis.record.schema import Status
from orchestrator.planning.plan import Plan
from orchestrator.record.recorded import INDEXED
from orchestrator.record.sharing.claims import Claims
from orchestrator.record.spent import seconds
from orchestrator.record.store import Store
from tests.orchestrator.record.test_store import evaluation_row, measure_row, trial_row
from tests.support.command_line import here
from tests.support.recorded_study import STATE, other_study, recorded_study
from tests.support.tiny_study import EPOCHS
from tests.support.untrained_trials import write


@pytest.fixture
def study(tmp_path: Path) -> tuple[Store, Plan]:
    return recorded_study(tmp_path / "storage")


def test_the_cost_is_that_of_every_run_once(store: Store) -> None:
    store.write_trial(trial_row("t", seconds=3600.0))
    evaluations = [
        evaluation_row(key, trial="t", head=head, seconds=s)
        for key, head, s in (("e1", "final", 720.0), ("e1", "1", 720.0), ("e2", "final", 720.0), ("e3", "final", 360.0))
    ]
    store.write_evaluations("t", "x", evaluations)
    store.write_measures("t", "y", [measure_row("m", trial="t", array=name, seconds=720.0) for name in "ab"])
    store.write_trial(trial_row("u", seconds=1800.0, status=Status.UNFINISHED))
    assert advsweep.status(store.uri).hours == pytest.approx(1 + 0.2 + 0.1 + 0.2 + 0.5)
    assert seconds(rows.rows(store, store.trials(), INDEXED))["t"] == pytest.approx(3600 + 720 + 360 + 720)


def test_a_study_has_the_cost_and_the_size_of_its_trials(study: tuple[Store, Plan]) -> None:
    store, made = study
    store.write_manifest(other_study(made))
    found = advsweep.status(store.uri)
    by_name = {row["study"]: row for row in found.studies}
    assert by_name["tiny/table"]["hours"] == pytest.approx(6 * 2 / 3600)  # a second of training, and one run of attacks
    assert by_name["tiny/other"]["hours"] == pytest.approx(2 * 2 / 3600)
    files = [path for path in Path(store.root).rglob("*") if path.is_file()]
    assert found.size == sum(path.stat().st_size for path in files)
    trials = other_study(made).trials
    of_other = [path for path in files if path.parent.name in trials]
    assert by_name["tiny/other"]["bytes"] == sum(path.stat().st_size for path in of_other) > 2 * len(STATE)


def test_who_runs_trials_now_is_listed(study: tuple[Store, Plan]) -> None:
    store, _ = study
    assert advsweep.status(store.uri).running == []
    with Claims.joined(store, "run") as claims:
        assert advsweep.status(store.uri).running == [str(claims.driver)]
        shown = here("status", "--storage", store.uri).out
        assert f"running now: {claims.driver}" in " ".join(shown.split())
    assert "running now" not in here("status", "--storage", store.uri).out


def test_no_weights_or_states_are_read_for_it(study: tuple[Store, Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = Store.read_file
    monkeypatch.setattr(Store, "read_file", lambda self, trial, name: read.append(name.table) or original(self, trial, name))
    advsweep.status(study[0].uri)
    advsweep.du(study[0].uri)
    assert set(read) <= {"trial", "evaluations", "measures"}


def test_columns_are_whole_where_there_is_no_terminal(study: tuple[Store, Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    store, made = study
    variant = "demo@" + "a" * 150
    store.write_manifest(replace(other_study(made), variant=variant))
    lines = here("status", "--storage", store.uri, COLUMNS="80").out.splitlines()
    assert any(variant in line and line.startswith("tiny/other") and "2/2" in line for line in lines)
    assert all(line == line.rstrip() for line in lines)
    fields = here("list", "fields", "training", COLUMNS="80").out.splitlines()
    named = [line for line in fields if line.startswith("training")]
    assert len(named) == len(fields) - 1, "a field has one line"


def test_the_checkpoint_of_the_best_seed_is_a_file(study: tuple[Store, Plan]) -> None:
    store, made = study
    found = advsweep.checkpoints("tiny/table", storage=store.uri)
    table = advsweep.table("tiny/table", storage=store.uri)
    assert [(each.labels, each.checkpoint, each.seed) for each in found] == [
        (row.labels, block.checkpoint, row.best) for block in table.blocks for row in block.rows
    ]
    labels = {arm.labels: arm.trials for arm in made.manifests[0].arms}
    for each in found:
        assert each.trial == labels[each.labels][str(each.seed)]
        assert Path(each.path).parent.name == each.trial
        assert Path(each.path).name.startswith(f"weights-{EPOCHS:06d}.")
        assert Path(each.path).is_file()
    shown = here("status", "tiny/table", "--storage", store.uri)
    assert (shown.code, shown.err) == (0, "")
    assert all(each.path in shown.out for each in found)
    assert json.loads(here("status", "tiny/table", "--storage", store.uri, "--json").out)[0]["path"] == found[0].path


def test_a_row_without_a_finished_seed_has_no_checkpoint(study: tuple[Store, Plan]) -> None:
    store, made = study
    vanilla = made.manifests[0].arms[0].trials.values()
    for trial in made.trials:
        if trial.key in vanilla:
            write(store, trial, Status.UNFINISHED, robust=[0.5])
    cas = [t for t in made.trials if t.key in made.manifests[0].arms[1].trials.values()]
    for trial in cas:
        store.keep_weights(trial.key, [])
    shown = here("status", "tiny/table", "--storage", store.uri).out.splitlines()
    assert [line.split("  ")[-1].strip() for line in shown[1:3]] == ["no seed is finished", "not in this storage"]
    assert here("status", "tiny/none", "--storage", store.uri).code == 2
