"""A trial or an attack that fails for good is recorded and marked in the table, and does not end the sweep."""

import csv
import json
import shutil
from io import StringIO

import pytest

from orchestrator.record.store import Store
from tests.support.command_line import (
    STUDY,
    TINY,
    advsweep,
    evaluations,
    here,
    newest_file,
    numbers,
    runs,
    sweep,
    table,
    trials,
)

REASON = "no readable checkpoint to go on from"


PLUGIN = """
from pathlib import Path
from typing import Literal

import torch

from trainables import plugins as own


class Steep(own.Linf, own.Expected):
    name: Literal["steep"] = "steep"


@own.attack(Steep)
def steep(spec: Steep, case: own.Case) -> torch.Tensor:
    if len(case.x) > 4 and not Path("MENDED").exists():  # the preflight has four examples
        raise ValueError("too steep")
    return case.x
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_attack_that_fails_leaves_its_trial_and_the_other_attacks(copied, tmp_path):
    plugin, mended = tmp_path / "steep.py", tmp_path / "mended"
    plugin.write_text(PLUGIN.replace("MENDED", str(mended)), encoding="utf-8")
    command = ("evaluate", STUDY, *TINY, "--storage", copied, "--study-file", plugin, "--attack", "steep", "--attack", "fgsm")
    before = numbers(copied)
    done = advsweep(*command)
    assert done.code == 1
    [line] = done.err.splitlines()
    assert line.startswith("advsweep: 8 evaluations failed (Vanilla seed 0, steep (")
    assert line.endswith("ValueError: too steep); run them again with --retry-failed")
    assert "4 of 4 trials done, 8 evaluations failed" in done.out
    assert {*trials(copied).values()} == {"finished"}
    after = numbers(copied)
    for key, known in before.items():
        assert after[key][0] == known[0]
        assert all(row in after[key][1] for row in known[1])

    # Its reason is in everything that a user reads, and the other new column is there.
    status = json.loads(here("status", "--storage", copied, "--json").out)
    assert {(one["evaluation"], one["reason"]) for one in status["failed_evaluations"]} == {
        ("steep (last)", "ValueError: too steep"),
        ("steep (best)", "ValueError: too steep"),
    }
    assert ", steep (last): ValueError: too steep" in here("status", "--storage", copied).out
    rows = list(csv.DictReader(StringIO(table(copied))))
    assert {row["column"] for row in rows if not row["value"]} == {"steep"}
    assert all("failed: ValueError: too steep" in row["notes"] for row in rows if row["column"] == "steep")

    # It is not run again unless --retry-failed is given.
    again = advsweep(*command)
    assert (again.code, again.err) == (1, done.err)
    assert "0 evaluations to run; 8 evaluations failed before (--retry-failed runs them again)" in again.out
    mended.touch()
    retried = advsweep(*command, "--retry-failed")
    assert (retried.code, retried.err) == (0, "")
    assert all(row["value"] for row in csv.DictReader(StringIO(table(copied))))


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_trial_that_always_fails_does_not_affect_the_others(undisturbed, copied):
    plan = json.loads(here("plan", STUDY, *TINY, "--storage", copied, "--json").out)
    keys = {t["arms"][STUDY]: t["trial"] for t in plan["trials"]}
    broken, lost = keys["top-1"], keys["top-2"]
    for key in (broken, lost):
        shutil.rmtree(copied / "trials" / key)
    Store(str(copied)).write_state(broken, 1, b"no state")

    done = advsweep(*sweep(copied))
    assert done.code == 1
    [line] = done.err.splitlines()
    assert line.startswith("advsweep: 1 of 4 trials failed (top-1 seed 0: ")
    assert REASON in line
    assert line.endswith("resume them with --retry-failed")
    assert "Traceback" not in done.out
    assert "1 of 2 trials done, 1 failed" in done.out
    assert trials(copied) == {key: "failed" if key == broken else "finished" for key in trials(undisturbed[0])}
    assert numbers(copied)[lost] == numbers(undisturbed[0])[lost]
    assert runs(copied) == sorted((key, "FAILED" if key == broken else "FINISHED") for key in keys.values())

    # Its reason is in everything that a user reads.
    status = json.loads(here("status", "--storage", copied, "--json").out)
    [failed] = status["failed"]
    assert (failed["trial"], failed["arm"]) == (broken, "top-1 seed 0")
    assert REASON in failed["reason"]
    assert f"failed: {broken} top-1 seed 0: " in here("status", "--storage", copied).out
    rows = list(csv.DictReader(StringIO(table(copied))))
    assert {row["top_k"] for row in rows if row["value"]} == {"Vanilla", "top-2", "top-3"}
    assert all(REASON in row["notes"] and row["finished"] == "0" for row in rows if row["top_k"] == "top-1")
    printed = done.out.splitlines()
    assert [line.rstrip().endswith("0/1 [1]") for line in printed if " top-1 " in line and "–" in line] == [True, True]
    assert any(line.startswith("[1] seed 0: ") and REASON in line for line in printed)

    # It is not run again unless --retry-failed is given.
    again = here(*sweep(copied))
    assert again.code == 1
    assert again.out.splitlines()[0].endswith("0 to train; 0 evaluations to run; 1 failed before (--retry-failed resumes them)")
    assert again.err == done.err

    newest_file(copied, broken, "state").unlink()
    retried = advsweep(*sweep(copied), "--retry-failed")
    assert (retried.code, retried.err) == (0, "")
    assert numbers(copied) == numbers(undisturbed[0])
    assert table(copied) == table(undisturbed[0])
    assert runs(copied) == [(key, "FINISHED") for key in trials(copied)]
    assert evaluations(copied).keys() == evaluations(undisturbed[0]).keys()
