"""Further attacks on trained trials, and the checklist: what is run, what stays, what is refused."""

import csv
import json
from io import StringIO

import pytest
from command import NO_RAY, STUDY, TINY, TRIALS, advsweep, epochs, evaluations, sweep, table

MINUTES = pytest.mark.timeout(300)
ATTACK = "pgd(iterations=3, start=zero)"


def attacked(storage, *attacks, **settings):
    asked = [part for attack in attacks for part in ("--attack", attack)]
    return advsweep("evaluate", STUDY, *TINY, "--cpus-per-trial", "1", "--storage", storage, *asked, **settings)


def columns(storage):
    return {row["column"] for row in csv.DictReader(StringIO(table(storage)))}


@MINUTES
def test_an_attack_becomes_a_column_that_stays(copied):
    trained, before, before_columns = epochs(copied), evaluations(copied), columns(copied)
    done = attacked(copied, ATTACK, "noise(restarts=2)")
    assert (done.code, done.err) == (0, "")
    assert "0 to train" in done.out.splitlines()[0]
    assert epochs(copied) == trained
    assert columns(copied) == before_columns | {ATTACK, "noise(restarts=2)"}
    after = evaluations(copied)
    assert all(len(after[key]) > len(rows) for key, rows in before.items())

    # It is there already, and a run of the study itself does not take it away.
    again = attacked(copied, ATTACK, **NO_RAY)
    assert (again.code, again.err) == (0, "")
    assert evaluations(copied) == after
    assert advsweep(*sweep(copied), **NO_RAY).code == 0
    assert columns(copied) == before_columns | {ATTACK, "noise(restarts=2)"}


@MINUTES
def test_the_checklist_is_run_and_shown(copied):
    checked = advsweep("check", STUDY, *TINY, "--cpus-per-trial", "1", "--storage", copied, "--json")
    found = json.loads(checked.out)[STUDY]
    assert len(found) == TRIALS
    statuses = [item["status"] for row in found for item in row["items"]]
    assert set(statuses) <= {"passed", "failed", "not run"}
    failed = [" ".join(row["arm"]) for row in found if any(item["status"] == "failed" for item in row["items"])]
    assert checked.code == (1 if failed else 0)
    for arm in failed:
        assert arm in checked.err
    vanilla = {item["name"]: item["status"] for row in found if row["arm"] == ["Vanilla"] for item in row["items"]}
    assert [name for name, status in vanilla.items() if status == "not run"] == [
        "adaptive attacks are no weaker than the plain one",
        "the plain attack is within 3 points of adaptive ones",
    ]
    # What was run for it is no column of the table, but a failure is a mark in it.
    text = advsweep("table", STUDY, "--storage", copied).out
    assert "AutoAttack" not in text.split("Profile")[0]
    assert ("†" in text) == bool(failed)


@MINUTES
def test_nothing_trained_is_nothing_attacked(tmp_path):
    for command in (("evaluate", "--attack", "autoattack"), ("check",)):
        done = advsweep(command[0], STUDY, *command[1:], *TINY, "--storage", tmp_path / "none", **NO_RAY)
        assert done.code == 2
        assert "none of the 4 trials is trained" in done.err
        assert not (tmp_path / "none").exists()


@MINUTES
@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("pdg(iterations=3)", "allowed: "),
        ("pgd", "iterations: must be set too"),
        ("pgd(iterations=three)", "iterations = 'three': must be a valid integer"),
        ("pgd(iterations=3, colour=red)", "colour = 'red': there is no such field"),
        ("pgd(iterations", "write a name, or a name and fields"),
    ],
)
def test_an_attack_that_is_none_is_refused(copied, attack, words):
    done = attacked(copied, attack, **NO_RAY)
    assert done.code == 2
    assert words in done.err
    assert len(done.err.splitlines()) == 1
