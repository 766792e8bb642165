"""Where a trial's numbers come from, as its row says it, against git, the installed packages and the system themselves."""

import getpass
import os
import socket
import subprocess
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from analysis.record.schema import EVALUATIONS, TRIAL, Status
from orchestrator.execution.job import PROVENANCE, Job, write_failure
from orchestrator.execution.provenance import origin
from orchestrator.execution.provenance.machine import driver_version, packages
from orchestrator.execution.provenance.origin import Origin, origin_of
from orchestrator.execution.provenance.usage import Usage, resident_bytes
from orchestrator.execution.work import Work
from orchestrator.planning.plan import Evaluation
from orchestrator.record.environments import read_environment
from orchestrator.record.report import End
from tests.orchestrator.execution.test_worker import evaluations
from tests.support.tiny_study import EPOCHS, finish
from trainables.config import PGD, SAP, Natural
from trainables.data import checksum
from trainables.data.digits import DIGITS
from trainables.trial import Trial

ORIGIN = Origin("c0ffee", "")


@pytest.fixture
def work_tree(tmp_path, monkeypatch):
    """A git repository with one commit of two files, without the user's own configuration."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "tree"
    (folder / "below").mkdir(parents=True)
    (folder / "study.py").write_text("eps = 8\n")
    (folder / "below" / "notes.txt").write_text("none\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "first")
    return folder


def git(folder, *words):
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


# --- the user's folder --------------------------------------------------------------------------------------------------


def test_an_unchanged_work_tree_is_its_commit(work_tree, store):
    commit = git(work_tree, "log", "-1", "--format=%H").strip()
    for folder in (work_tree, work_tree / "below"):
        assert origin_of(folder, store) == Origin(commit, "")
    assert store.entries("environments") == []


def test_what_differs_can_be_applied_to_the_commit(work_tree, store, tmp_path):
    (work_tree / "study.py").write_text("eps = 4\n")
    git(work_tree, "add", "study.py")  # staged or not, it is not committed
    (work_tree / "below" / "notes.txt").write_text("some\n")
    (work_tree / "results").mkdir()
    for name in ("one", "two"):
        (work_tree / "results" / name).write_text("not read")
    (work_tree / "new.py").write_text("not read")
    found = origin_of(work_tree / "below", store)
    text = read_environment(store, found.diff).decode()
    patch, names = text[: text.index("untracked: ")], text[text.index("untracked: ") :]
    assert names == "untracked: new.py\nuntracked: results/\n"
    assert "not read" not in text
    git(work_tree, "stash")
    subprocess.run(["git", "apply"], input=patch, cwd=work_tree, check=True, text=True)
    assert (work_tree / "study.py").read_text() == "eps = 4\n"
    assert (work_tree / "below" / "notes.txt").read_text() == "some\n"


def test_a_long_difference_is_cut_and_says_so(work_tree, store, monkeypatch):
    monkeypatch.setattr(origin, "LIMIT", 500)
    (work_tree / "study.py").write_text("µ" * 5000)
    text = read_environment(store, origin_of(work_tree, store).diff).decode()
    whole = git(work_tree, "diff", "HEAD").encode()
    kept, last = text.splitlines()[:-1], text.splitlines()[-1]
    assert whole.decode().startswith("\n".join(kept))
    assert last == f"[cut: {len(whole) - 500} more bytes]"
    assert len(text.encode()) < 550


def test_without_a_commit_there_is_no_origin(tmp_path, store, work_tree, monkeypatch):
    assert origin_of(tmp_path, store) == Origin(None, None)
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    assert origin_of(tmp_path / "empty", store) == Origin(None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert origin_of(work_tree, store) == Origin(None, None)


# --- the machine --------------------------------------------------------------------------------------------------------


def test_packages_are_those_that_are_installed():
    lines = packages().splitlines()
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines) > 50
    assert lines == sorted(lines, key=lambda line: line.partition("==")[0].lower().replace("_", "-").replace(".", "-"))
    for name in ("torch", "numpy", "pytest", "ray", "optuna"):
        assert found[name] == version(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version:  12.2.0",
            "535.104.05",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n", "570.86.15"),
        ("", None),
        ("nothing", None),
    ],
)
def test_the_drivers_version_is_read_from_its_file(tmp_path, text, expected):
    (tmp_path / "version").write_text(text)
    assert driver_version(tmp_path / "version") == expected
    assert driver_version(tmp_path / "missing") is None


# --- what it took -------------------------------------------------------------------------------------------------------


def test_memory_that_is_freed_again_counts(monkeypatch):
    monkeypatch.setattr("orchestrator.execution.provenance.usage.EVERY", 0.01)
    usage, before = Usage(torch.device("cpu"), {}, time.monotonic()), resident_bytes()
    with usage.sampling():
        block = bytearray(os.urandom(1)) * 200_000_000
        time.sleep(0.1)
        del block
    assert before + 150_000_000 < usage.columns()["peak_memory"] < before + 400_000_000
    assert resident_bytes() < before + 150_000_000


def test_a_busy_process_uses_its_thread_and_a_sleeping_one_does_not():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        busy, idle = (Usage(torch.device("cpu"), {}, time.monotonic()) for _ in range(2))
        with idle.sampling():
            time.sleep(0.3)
        with busy.sampling():
            began, cpu = time.monotonic(), time.process_time()
            while time.process_time() - cpu < 0.3:
                pass
            share = 0.3 / (time.monotonic() - began)  # other processes want the core too
    finally:
        torch.set_num_threads(threads)
    assert busy.columns()["utilisation"] == pytest.approx(share, abs=0.15)
    assert idle.columns()["utilisation"] < 0.2


def test_restarts_add_up():
    before = {"wall_seconds": 30.0, "peak_memory": 2**50, "utilisation": 0.5}
    usage = Usage(torch.device("cpu"), before, time.monotonic() - 10.0)
    assert usage.columns()["utilisation"] == 0.5, "nothing was sampled yet"
    usage._cpu, usage._sampled = 0.9 * torch.get_num_threads(), 1.0
    found = usage.columns()
    assert found["wall_seconds"] == pytest.approx(40.0, abs=0.5)
    assert found["peak_memory"] == 2**50
    assert found["utilisation"] == pytest.approx((0.5 * 30 + 0.9 * 10) / 40, abs=0.01)


# --- in the record ------------------------------------------------------------------------------------------------------


@pytest.fixture
def known(job: Job) -> Job:
    return replace(job, origin=ORIGIN)


def test_a_trained_trials_row_says_all_of_it(known):
    began = time.monotonic()
    store = finish(known).store
    row = store.read_trial(known.key)
    assert 0 < row["seconds"] <= row["wall_seconds"] <= time.monotonic() - began
    assert 2**20 < row["peak_memory"] < 2**36
    assert 0 < row["utilisation"] <= 1
    assert (row["commit"], row["diff"]) == ORIGIN
    assert read_environment(store, row["packages"]).decode() == packages()
    assert row["data"] == checksum(*DIGITS.load("digits", "", False))
    assert (row["host"], row["user"]) == (socket.gethostname(), getpass.getuser())
    assert (row["device"], row["cuda"], row["driver"]) == ("cpu", None, None)
    assert {*PROVENANCE} < {*TRIAL.names}
    assert [name for name in TRIAL.names if row[name] is None] == ["ending", "cuda", "driver"]


def test_a_kill_loses_none_of_the_time_before_the_last_row(known, monkeypatch):
    step = Trial.step
    monkeypatch.setattr(Trial, "step", lambda self: time.sleep(0.2) or step(self))
    work = Work(known)
    work.advance()
    first = work.store.read_trial(known.key)
    del work  # killed
    time.sleep(0.5)
    row = finish(known).store.read_trial(known.key)
    rest = sum(0.2 + epoch["seconds"] for epoch in row["history"][1:])
    assert first["wall_seconds"] > 0.2
    assert row["wall_seconds"] >= first["wall_seconds"] + rest
    assert row["wall_seconds"] >= row["seconds"] + 0.2 * EPOCHS
    assert row["peak_memory"] >= first["peak_memory"]


def test_evaluations_and_failures_leave_it_as_it_is(known):
    store = finish(replace(known, evaluations=())).store
    before = {name: store.read_trial(known.key)[name] for name in PROVENANCE}
    finish(replace(known, origin=Origin("another", None)))
    assert {name: store.read_trial(known.key)[name] for name in PROVENANCE} == before
    write_failure(store, known, End.of(ValueError("later")))
    assert {name: store.read_trial(known.key)[name] for name in PROVENANCE} == before


def test_a_training_that_diverges_at_once_says_it_too(known, monkeypatch):
    monkeypatch.setattr(Trial, "_train", lambda self: (float("nan"), 0.0, 1))
    row = finish(known).store.read_trial(known.key)
    assert (row["status"], row["epochs"]) == (Status.FAILED, 0)
    assert all(row[name] is not None for name in PROVENANCE if name not in {"cuda", "driver"})


def test_prefixes_have_what_was_spent_up_to_their_end(known):
    shorter = known.config.model_copy(update={"training": known.config.training.model_copy(update={"epochs": 1})})
    store = finish(replace(known, prefixes={"shorter": shorter})).store
    short, whole = (store.read_trial(key) for key in ("shorter", known.key))
    assert short["seconds"] < short["wall_seconds"] < whole["wall_seconds"]
    assert [short[name] for name in PROVENANCE[3:]] == [whole[name] for name in PROVENANCE[3:]]


def test_no_column_of_an_evaluation_is_null_where_it_applies(known):
    """On a deterministic network and on one that draws, complete and not."""
    config = known.config.model_copy(update={"module": SAP(positions=known.config.module.positions)})
    long, short = (PGD(eps=0.1, step=0.05, iterations=k, beta_atk="0") for k in (4, 2))
    found = {}
    for job in (known, replace(known, key="draws", config=config)):
        for complete in (False, True):
            asked = [Evaluation.of(job.key, attack, "last", "x", complete) for attack in (Natural(), long, short)]
            store = finish(replace(job, evaluations=tuple(asked))).store
        for row in evaluations(store, job.key):
            if row["head"] == "final":
                steps, name = row["gradient_steps"], row["attack_name"]
                found[job.key, name, steps, row["complete"]] = {name for name in EVALUATIONS.names if row[name] is not None}
                if name == "pgd" and job.key == known.key:
                    assert [each["steps"] for each in row["by_steps"]] == ([2, 4] if steps == 4 else [2])
                    assert row["by_steps"][-1]["any"] == row["accuracy"]
                    assert row["by_steps"][-1]["last"] == row["last_accuracy"]
                if job.key == "draws":
                    assert row["draws"] == 100
                    assert 0 <= row["mean_accuracy"] <= 1
                    assert 0 <= row["averaged_accuracy"] <= 1
            else:
                assert {row[name] for name in ("last_accuracy", "mean_accuracy", "draws")} == {None}
    assert len(found) == 12
    always = {*EVALUATIONS.names} - {"median_distance", "gradient_steps"}
    always -= {"last_accuracy", "by_steps", "mean_accuracy", "averaged_accuracy", "draws"}
    for (key, name, _, complete), there in found.items():
        expected = set(always)
        if name == "pgd":
            expected |= {"gradient_steps"}
            expected |= {"by_steps", *(("last_accuracy",) if complete else ())} if key == known.key else set()
        if key == "draws":
            expected |= {"mean_accuracy", "averaged_accuracy", "draws"}
        assert there == expected


def test_the_store_of_a_process_holds_its_packages_once(known):
    store = finish(known).store
    finish(replace(known, key="other"))
    assert [Path(info.path).name for info in store.entries("environments")] == [f"{store.read_trial('other')['packages']}.txt"]
