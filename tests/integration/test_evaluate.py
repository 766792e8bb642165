"""Further attacks on trained trials, the checklist, and external checkpoints."""

import csv
import json
import shutil
from io import StringIO

import pytest

from tests.support.command_line import STUDY, TINY, TRIALS, advsweep, epochs, evaluations, here, sweep, table

MINUTES = pytest.mark.timeout(600)
ATTACK = "pgd(iterations=3, start=zero)"


def attacked(storage, *attacks, command=advsweep):
    asked = [part for attack in attacks for part in ("--attack", attack)]
    return command("evaluate", STUDY, *TINY, "--cpus-per-trial", "1", "--storage", storage, *asked)


def columns(storage):
    return {row["column"] for row in csv.DictReader(StringIO(table(storage)))}


@MINUTES
@pytest.mark.ray
def test_an_attack_becomes_a_column_that_stays(copied):
    trained, before, before_columns = epochs(copied), evaluations(copied), columns(copied)
    done = attacked(copied, ATTACK, "noise(restarts=2)")
    assert (done.code, done.err) == (0, "")
    assert "0 to train" in done.out.splitlines()[0]
    assert epochs(copied) == trained
    assert columns(copied) == before_columns | {ATTACK, "noise(restarts=2)"}
    after = evaluations(copied)
    assert all(len(after[key]) > len(rows) for key, rows in before.items())

    # It is recorded already, and a run of the study itself does not remove the column.
    again = attacked(copied, ATTACK, command=here)
    assert (again.code, again.err) == (0, "")
    assert evaluations(copied) == after
    assert here(*sweep(copied)).code == 0
    assert columns(copied) == before_columns | {ATTACK, "noise(restarts=2)"}


@pytest.mark.slow
@pytest.mark.timeout(700)
@pytest.mark.ray
def test_the_checklist_is_run_and_shown(copied):
    command = ("check", STUDY, *TINY, "--cpus-per-trial", "1", "--storage", copied, "--json")
    checked = advsweep(*command, seconds=600)
    assert f"{TRIALS} measurements" in checked.err.splitlines()[0]
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
    assert vanilla["the loss is finite and has a gradient"] == vanilla["two forward passes agree"] == "passed"
    transferred = [[row["attack_name"] for row in rows].count("transfer") for rows in evaluations(copied).values()]
    assert sorted(transferred) == [0, *[1] * (TRIALS - 1)]
    # Everything is recorded already.
    again = here(*command)
    assert (again.code, again.out) == (checked.code, checked.out)
    # The checklist's attacks are no columns of the table, but a failure marks the row, at the checkpoint that was checked.
    text = here("table", STUDY, "--checkpoint", "last", "--storage", copied).out
    assert "AutoAttack" not in text.split("Profile")[0]
    assert ("†" in text) == bool(failed)


@MINUTES
def test_without_trained_trials_nothing_is_attacked(tmp_path):
    for command in (("evaluate", "--attack", "autoattack"), ("check",)):
        done = here(command[0], STUDY, *command[1:], *TINY, "--storage", tmp_path / "none")
        assert done.code == 2
        assert "none of the 4 trials is trained" in done.err
        assert not (tmp_path / "none").exists()


@MINUTES
@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("pdg(iterations=3)", "allowed: "),
        ("pgd", "iterations: must be set too"),
        ("pgd(iteration=5)", "attack pgd: iteration = 5: there is no such field; did you mean 'iterations'?"),
        ("pgd(iterations=three)", "iterations = 'three': must be a valid integer"),
        ("pgd(iterations=3, colour=red)", "colour = 'red': there is no such field"),
        ("pgd(iterations", "write a name, or a name and fields"),
    ],
)
def test_an_invalid_attack_is_refused(copied, attack, words):
    done = attacked(copied, attack, command=here)
    assert done.code == 2
    assert words in done.err
    assert len(done.err.splitlines()) == 1


# --- external checkpoints -----------------------------------------------------------------------------------------------


@pytest.fixture
def weights(undisturbed, tmp_path):
    """A file with the weights of a trained network of the sweep, and the network's recorded accuracy."""
    storage, _ = undisturbed
    key, rows = next((k, rows) for k, rows in evaluations(storage).items() if {row["head"] for row in rows} == {"final"})
    natural = next(row for row in rows if row["attack_name"] == "natural" and row["checkpoint"] == "last")
    (source,) = (storage / "trials" / key).glob(f"weights-*{natural['epoch']}.*.safetensors")
    return shutil.copy(source, tmp_path / "mine.safetensors"), 100 * natural["accuracy"]


def attack_checkpoint(*arguments):
    demo = ("--set", "model.width=4", "--set", "model.normalise=true", "--set", "data.examples=64")
    return here("evaluate", "--dataset", "digits", "--eps", "1/8", *demo, *arguments)


@MINUTES
def test_an_external_checkpoint_is_attacked(weights):
    file, natural = weights
    done = attack_checkpoint("--checkpoint", file, "--model", "resnet10", "--attack", ATTACK, "--attack", "apgd(iterations=3)")
    assert (done.code, done.err) == (0, "")
    first, *rows = done.out.splitlines()
    assert first.endswith("resnet-10 of width 4, module none, on digits's test set")
    assert [row.split("%")[1].split("(")[0].strip() for row in rows] == ["natural", "pgd", "apgd"]
    assert rows[0].split("%")[0].strip() == f"{natural:.2f}"
    assert float(rows[1].split("%")[0]) <= natural


@MINUTES
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--checkpoint", "none.pt", "--model", "resnet10"), "cannot be read: No such file"),
        (("--checkpoint", "FILE"), "give both or none"),
        ((STUDY, "--checkpoint", "FILE", "--model", "resnet10"), "not both"),
        (("--checkpoint", "FILE", "--model", "resnet18"), "does not fit --model resnet-18: the file has"),
        (("--checkpoint", "FILE", "--model", "resnet11"), "model.name = 'resnet11': allowed:"),
        (("--checkpoint", "FILE", "--model", "resnet10", "--eps", "much"), "--eps 'much': must be a number or a fraction"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, arguments, words):
    done = attack_checkpoint(*(str(weights[0]) if a == "FILE" else a for a in arguments), "--attack", ATTACK)
    assert done.code == 2
    assert words in done.err
    assert len(done.err.splitlines()) == 1
