"""A sweep from its command to its table, trials that studies share, and JSON for programs."""

import csv
import getpass
import json
import socket
import subprocess
from io import StringIO

import pytest

from analysis.record.load import load
from search_spaces.catalog import STUDIES
from tests.support.command_line import (
    EPOCHS,
    STUDY,
    TINY,
    TRIALS,
    advsweep,
    assert_kept,
    assert_once,
    epochs,
    evaluations,
    here,
    optuna_study,
    optuna_trials,
    runs,
    sweep,
    table,
    trials,
)

MINUTES = pytest.mark.timeout(600)


def lines_of_tables(out: str) -> list[str]:
    """Return the lines that a run prints after its progress."""
    lines = out.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith(("cifs/", "cas/"))) :]


@MINUTES
def test_a_run_ends_with_its_table(undisturbed):
    storage, done = undisturbed
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("4 trials asked for, 4 after sharing (0 shared): 0 there already, 4 to train; 28 evaluations")
    assert "4 of 4 trials done" in done.out
    assert "device-hours: unknown" in done.out.splitlines()[1]
    assert any(line.startswith("it took ") and line.endswith("device-hours") for line in done.out.splitlines())
    printed = lines_of_tables(done.out)
    assert printed[0].startswith("cifs/table-5 (Yan et al., ICML 2021, Table 5)")
    for arm in ("Vanilla", "top-1", "top-2", "top-3"):
        rows = [line for line in printed if f" {arm} " in line]
        assert len(rows) == 2, arm  # last and best
        assert all(line.rstrip().endswith("1/1") for line in rows)
    assert printed[-1] == f"MLflow's UI on these runs: advsweep ui --storage {storage}"
    assert list(trials(storage).values()) == ["finished"] * TRIALS
    assert [[row["epoch"] for row in rows] for rows in epochs(storage).values()] == [list(range(1, EPOCHS + 1))] * TRIALS
    assert_once(evaluations(storage))
    assert runs(storage) == [(key, "FINISHED") for key in trials(storage)]


def test_every_trial_says_who_trained_it_where_from_which_commit(undisturbed):
    storage, _ = undisturbed
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # the tests' own folder
    rows = load(str(storage)).trials
    for row in rows.to_dict("records"):
        assert (row["host"], row["user"]) == (socket.gethostname(), getpass.getuser())
        assert row["commit"] == (git.stdout.strip() or None)
        assert (row["diff"] is None) == (row["commit"] is None)
        assert row["seconds"] < row["wall_seconds"]
        named = [row[name] for name in ("packages", "diff") if row[name]]
        assert all((storage / "environments" / f"{digest}.txt").is_file() for digest in named)
    assert len({*rows["packages"]}) == len({*rows["data"]}) == 1


def test_optuna_has_every_arm_and_seed_with_the_numbers_of_the_table(undisturbed):
    storage, _ = undisturbed
    assert optuna_trials(storage).keys() == trials(storage).keys()
    study = optuna_study(storage)
    printed: dict[str, dict[str, float]] = {}
    for row in csv.DictReader(StringIO(table(storage, "--checkpoint", "last"))):
        if row["statistic"] == "mean" and row["column"] in study.metric_names:
            printed.setdefault(row["top_k"], {})[row["column"]] = float(row["value"])
    shown = {t.params["top_k"]: dict(zip(study.metric_names, t.values, strict=True)) for t in study.trials}
    assert shown == {label: pytest.approx(numbers, abs=0.01) for label, numbers in printed.items()}
    assert study.metric_names == ["Natural/Final", "Adap/Final"]


@MINUTES
def test_optuna_is_updated_in_another_storage_and_later(copied):
    place = f"sqlite:///{copied}/studies.db"
    done = here("sync", "--optuna", place, "--storage", copied)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"sqlite:///{copied}/mlflow.db: 0 runs updated",
        f"{place}: {TRIALS} trials reported to Optuna",
    ]
    assert optuna_trials(copied, place).keys() == trials(copied).keys()
    again = here("sync", "--storage", copied, ADVSWEEP_OPTUNA=place)
    assert again.out.splitlines()[1] == f"{place}: 0 trials reported to Optuna"
    own = here("sync", "--storage", copied, MLFLOW_TRACKING_URI="foo://bar")
    assert own.code == 2
    assert own.out.splitlines() == [f"{copied}/optuna.journal: 0 trials reported to Optuna"], "one does not wait for the other"
    assert "MLFLOW_TRACKING_URI='foo://bar' cannot be reached" in own.err


@MINUTES
def test_a_second_run_trains_nothing_and_starts_no_ray(undisturbed, copied):
    before = epochs(copied), evaluations(copied)
    again = here(*sweep(copied))
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines()[0].endswith("4 there already, 0 to train; 0 evaluations to run")
    assert "trials done" not in again.out
    assert lines_of_tables(again.out)[:-1] == lines_of_tables(undisturbed[1].out)[:-1]  # the last line names the storage
    assert (epochs(copied), evaluations(copied)) == before
    assert runs(copied) == runs(undisturbed[0])


@MINUTES
@pytest.mark.ray
def test_studies_share_trials_and_a_new_attack_trains_nothing(copied):
    """Table 1 shares two trials with Table 5, under more attacks, and adds CAS; Table B.3 shows the same by beta_atk."""
    trained, attacked = epochs(copied), evaluations(copied)
    both = json.loads(here("plan", STUDY, "cifs/table-1", *TINY, "--storage", copied, "--json").out)
    assert [both[f"trials_{name}"] for name in ("requested", "unique", "cached", "to_run")] == [7, 5, 4, 1]
    assert (both["device"], both["throughput_from"]) == (
        "cpu",
        "4 trials of this storage on cpu, other networks by multiply-adds",
    )
    assert both["device_hours"]["total"] > 0
    shared = [t["trial"] for t in both["trials"] if t["evaluations_to_run"] and t["status"] == "finished"]
    assert len(shared) == 2

    first = advsweep(*sweep(copied, study="cifs/table-1"))
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines()[0].startswith("3 trials asked for, 3 after sharing (0 shared): 2 there already, 1 to train;")
    assert "3 of 3 trials done" in first.out
    assert len(trials(copied)) == TRIALS + 1
    assert {key: rows for key, rows in epochs(copied).items() if key in trained} == trained
    assert_kept(attacked, evaluations(copied))
    for key in shared:
        new = {row["attack_name"] for row in evaluations(copied)[key] if row not in attacked[key]}
        assert new == {"fgsm", "cw", "pgd"}
    assert_once(evaluations(copied))

    before = epochs(copied), evaluations(copied)
    second = here(*sweep(copied, study="cifs/table-b3"))
    assert (second.code, second.err) == (0, "")
    assert second.out.splitlines()[0].endswith("3 there already, 0 to train; 0 evaluations to run")
    assert (epochs(copied), evaluations(copied)) == before

    assert runs(copied) == [(key, "FINISHED") for key in trials(copied)]
    by_beta = list(csv.DictReader(StringIO(table(copied, study="cifs/table-b3"))))
    assert {row["beta_atk"] for row in by_beta if row["defense"] == "CIFS"} == {"0", "2", "inf-1"}
    minima = {
        row["column"]: float(row["value"])
        for row in csv.DictReader(StringIO(table(copied, study="cifs/table-1")))
        if (row["defense"], row["checkpoint"], row["statistic"]) == ("CIFS", "last", "mean")
    }
    assert minima["PGD-100"] == min(
        float(row["value"])
        for row in by_beta
        if (row["defense"], row["checkpoint"], row["statistic"], row["column"]) == ("CIFS", "last", "mean", "PGD-100")
    )
    assert table(copied) == table(copied)


def test_studies_as_json():
    done = here("studies", "cifs/*", "--profile", "demo", "--json")
    assert (done.code, done.err) == (0, "")
    found = {row["name"]: row for row in json.loads(done.out)}
    assert found.keys() == {name for name in STUDIES if name.startswith("cifs/")}
    assert found["cifs/table-1"]["aliases"] == ["robustness"]
    assert found["cifs/table-1"]["factors"] == {"defense": ["Vanilla", "CAS", "CIFS"]}
    assert (found["cifs/table-1"]["arms"], found["cifs/table-1"]["seeds"]) == (3, 2)
    assert found["cifs/table-1"]["reference"] == "Yan et al., ICML 2021, Table 1"


def test_a_plan_as_json_starts_nothing(tmp_path):
    storage = tmp_path / "storage"
    done = here("plan", "cifs/table-1", "cifs/table-b3", *TINY, "--storage", storage, "--json")
    assert (done.code, done.err) == (0, "")
    plan = json.loads(done.out)
    names = ("trials_requested", "trials_unique", "trials_cached", "trials_to_run")
    assert [plan[name] for name in names] == [6, 3, 0, 3]
    assert plan["evaluations_to_run"] == sum(t["evaluations_to_run"] for t in plan["trials"]) > 0
    assert not storage.exists()


def test_a_plan_names_rows_that_settings_make_one_training(tmp_path):
    done = here("plan", "cifs/robustness", "--profile", "demo", "--set", "module.name=none", cwd=tmp_path)
    assert "cifs/table-1: with these settings 3 rows are one and the same training: Vanilla; CAS; CIFS\n" in done.out
    done = here("plan", "cifs/robustness", "--profile", "demo", cwd=tmp_path)
    assert "one and the same" not in done.out


def test_status_as_json(undisturbed):
    done = here("status", "--storage", undisturbed[0], "--json")
    assert (done.code, done.err) == (0, "")
    status = json.loads(done.out)
    assert status["trials"] == {"finished": TRIALS, "unfinished": 0, "early-stopped": 0, "failed": 0}
    assert (status["evaluations"], status["failed"]) == (28, [])
    assert [(s["study"], s["trials"], s["finished"]) for s in status["studies"]] == [(STUDY, TRIALS, TRIALS)]


@pytest.mark.parametrize(
    ("form", "start"),
    [("text", "cifs/table-5"), ("md", "|"), ("latex", r"\begin{table}"), ("csv", "study,profile"), ("html", "<")],
)
def test_a_table_in_every_format_and_in_a_file(undisturbed, tmp_path, form, start):
    arguments = ("table", STUDY, "--storage", undisturbed[0], "--format", form)
    file = tmp_path / "table"
    to_file = here(*arguments, "--output", file)
    assert (to_file.code, to_file.out, to_file.err) == (0, "", "")
    assert start in file.read_text()
    assert "top-3" in file.read_text()
    to_terminal = here(*arguments)
    assert (to_terminal.code, to_terminal.err) == (0, "")
    if form != "text":  # rendered for the terminal's width
        assert to_terminal.out.rstrip("\n") == file.read_text().rstrip("\n")


def test_one_checkpoint_of_a_table(undisturbed):
    found = {row["checkpoint"] for row in csv.DictReader(StringIO(table(undisturbed[0], "--checkpoint", "best")))}
    assert found == {"best"}


STAGES = """
name = "mine/stages"
title = "Accuracy after some epochs of one training"
columns = ["Natural", "FGSM"]
profiles.epochs = 4
profiles.free = ["training.epochs", "training.schedule.name"]
fixed.training.schedule.milestones = [3]
fixed.model.width = 4

[[factors]]
name = "stage"
symbol = "epoch"
field = "training.epochs"
levels = [1, 2, 4]
default = 4
"""


@MINUTES
@pytest.mark.ray
@pytest.mark.slow
def test_prefixes_are_evaluated_and_not_trained(tmp_path):
    file, storage = tmp_path / "stages.toml", tmp_path / "storage"
    file.write_text(STAGES, encoding="utf-8")
    arguments = ("mine/stages", "--study-file", file, "--profile", "demo", "--seeds", 1, "--set", "data.examples=64")
    done = advsweep("run", *arguments, "--cpus-per-trial", "1", "--storage", storage)
    assert (done.code, done.err) == (0, "")
    assert "3 after sharing (0 shared): 0 there already, 1 to train and 2 on their way; 12 evaluations" in done.out
    assert list(trials(storage).values()) == ["finished"] * 3
    rows = sorted((row["epoch"], row["finished"], row["train_loss"]) for every in epochs(storage).values() for row in every)
    assert [epoch for epoch, *_ in rows] == [1, 1, 1, 2, 2, 3, 4]
    assert len(set(rows)) == 4  # each was trained once
    assert_once(evaluations(storage))
    shown = csv.DictReader(StringIO(table(storage, study="mine/stages")))
    assert {row["stage"] for row in shown if row["value"]} == {"epoch = 1", "epoch = 2", "epoch = 4"}
    assert runs(storage) == [(key, "FINISHED") for key in trials(storage)]
