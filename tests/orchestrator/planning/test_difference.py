"""Why a trial is new: the fewest fields, or the code, in which it differs from a recorded one."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import advsweep
from orchestrator.planning.difference import Change, nearest
from orchestrator.planning.plan import Plan, PlannedTrial
from tests.support.command_line import here
from tests.support.recorded_study import recorded_study
from tests.support.tiny_study import tiny_plan
from trainables.config import training_versions

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def recorded(trials: Iterable[PlannedTrial], **numerics: object) -> list[dict[str, Any]]:
    """Return the rows of trials, the later ones newer. ``numerics``: other versions than today's."""
    return [
        {
            "trial": trial.key,
            "config": trial.config.model_dump_json(),
            "versions": json.dumps({"numerics": {**training_versions(trial.config), **numerics}}),
            "updated": NOW + timedelta(seconds=i),
        }
        for i, trial in enumerate(trials)
    ]


def changes(made: Plan, rows: list[dict[str, Any]]) -> list[str]:
    found = nearest(made.trials, rows)
    return [", ".join(map(str, found[trial.key].changes)) for trial in made.trials]


def test_a_field_that_was_set_is_named():
    before = tiny_plan()
    longer = tiny_plan(training__epochs=8)
    assert changes(longer, recorded(before.trials)) == ["training.epochs 3 -> 8"] * 3
    found = nearest(longer.trials, recorded(before.trials))
    assert [found[t.key].trial for t in longer.trials] == [t.key for t in before.trials]
    assert str(found[longer.trials[0].key]) == (
        f"nearest recorded ({before.trials[0].key[:8]}) differs in training.epochs 3 -> 8"
    )


def test_a_seed_is_a_field():
    seeds = tiny_plan(seeds=2)
    assert changes(Plan((), seeds.trials[3:], 3), recorded(seeds.trials[:3])) == ["seed 0 -> 1"] * 3


def test_of_another_variant_its_name_is_said_and_not_its_fields():
    vanilla, cas, cifs = tiny_plan().trials
    assert changes(Plan((), (cifs,), 1), recorded([vanilla])) == ["module.name none -> cifs"]
    assert changes(Plan((), (vanilla,), 1), recorded([cas])) == ["module.name cas -> none"]


def test_several_differences_are_all_named():
    made = tiny_plan(training__epochs=8, training__lr=0.5)
    assert changes(made, recorded(tiny_plan().trials))[0] == "training.epochs 3 -> 8, training.lr 0.05 -> 0.5"


def test_a_field_that_is_null_is_not_set():
    assert changes(tiny_plan(training__patience=2), recorded(tiny_plan().trials))[0] == "training.patience not set -> 2"


def test_code_that_has_changed_is_named():
    made = tiny_plan()
    assert changes(made, recorded(made.trials[1:2], **{"module 'cas'": 0}))[1] == "the code of module 'cas' 0 -> 1"
    # Code that the planned trial does not run is no difference of its own.
    assert changes(made, recorded(made.trials[1:2]))[0] == "module.name cas -> none"
    found = nearest(made.trials, recorded(made.trials[:1], training=0))[made.trials[0].key]
    assert found.changes == (Change("training", "0", "1", code=True),)


def test_of_equally_near_ones_the_newest_is_taken():
    rows = recorded([tiny_plan(training__lr=lr).trials[0] for lr in (0.2, 0.3, 0.1)])
    assert changes(tiny_plan(training__lr=0.4), rows)[0] == "training.lr 0.1 -> 0.4"


def test_nothing_is_near_where_nothing_is_recorded():
    assert nearest(tiny_plan().trials, []) == {}
    assert nearest((), recorded(tiny_plan().trials)) == {}


def test_a_record_without_versions_is_compared_all_the_same():
    rows = [{**row, "versions": None} for row in recorded(tiny_plan().trials)]
    assert changes(tiny_plan(training__epochs=8), rows) == ["training.epochs 3 -> 8"] * 3


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def storage(tmp_path: Path) -> tuple[Path, Path]:
    """A study file and a storage in which one of its two variants is recorded."""
    file = tmp_path / "study.py"
    file.write_text("from tests.support.tiny_study import STUDY\n")
    recorded_study(tmp_path / "storage", seeds=1)
    return file, tmp_path / "storage"


def test_a_plan_says_why_trials_are_new(storage: tuple[Path, Path]):
    file, place = storage
    options = ("tiny/table", "--study-file", file, "--profile", "demo", "--seeds", "2", "--storage", place)
    assert " new: " not in here("plan", *options).out
    said = here("plan", *options, "--why").out.splitlines()
    assert [line.partition(" new: ")[0] for line in said if " new: " in line] == ["Vanilla seed 1 and 2 more are"]
    assert any(line.endswith("differs in seed 0 -> 1") for line in said)
    as_json = here("plan", *options, "--seeds", "1", "--set", "training.epochs=4", "--why", "--json").out
    trials = json.loads(as_json)["trials"]
    assert [trial["changes"] for trial in trials] == [
        [{"field": "training.epochs", "recorded": "3", "planned": "4", "code": False}]
    ] * 3


def test_recorded_trials_are_not_new(storage: tuple[Path, Path]):
    file, place = storage
    made = advsweep.plan("tiny/table", profile="demo", seeds=2, study_files=[file], storage=str(place))
    assert advsweep.why_new(made, storage=str(place)).keys() == {t.key for t in made.trials if t.config.seed == 1}
    assert advsweep.why_new(made, storage="nowhere") == {}
