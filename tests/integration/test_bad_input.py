"""Mistakes of a user: one line on stderr names the value and the allowed ones, exit code 2, and nothing is created or started.

Most commands are run in the test's process; those that reach Ray, or need a second process, as a process.
"""

import shutil
from pathlib import Path

import pytest

from orchestrator.record.sharing.claims import Claims
from orchestrator.record.store import Store
from tests.support.command_line import NO_RAY, STUDY, TINY, Ended, advsweep, here, sweep


def refused(done: Ended, *parts: str) -> None:
    """Check that a command ended with 2, and that its only line on stderr holds these parts."""
    assert done.code == 2, done
    assert "Traceback" not in done.out
    [line] = done.err.splitlines()
    assert line.startswith("advsweep: ")
    for part in parts:
        assert part in line


@pytest.fixture
def refuses(tmp_path):
    """Runs a command in an empty folder, and checks that it is refused with these parts in its error and creates nothing."""
    folder = tmp_path / "work"
    folder.mkdir()

    def check(arguments: tuple[object, ...], *parts: str, command=here, **settings: str) -> None:
        refused(command(*arguments, cwd=folder, **settings), *parts)
        assert list(folder.iterdir()) == []

    return check


def test_an_unknown_study(refuses):
    parts = ("unknown study 'nobody/*'", "cas, cifs", "--study-file FILE")
    refuses(("run", "nobody/*", "--profile", "demo"), *parts, command=advsweep, **NO_RAY)


@pytest.mark.parametrize(
    ("study", "settings", "parts"),
    [
        ("cifs/robustnes", (), ("unknown study 'cifs/robustnes'", "did you mean 'cifs/robustness'?")),
        (STUDY, ("training.lrr=0.1",), ("--set training.lrr", "did you mean 'training.lr'?")),
        (STUDY, ("training.lr=high",), ("training.lr = 'high'", "must be a valid number")),
        (STUDY, ("training.lr=-1",), ("training.lr = -1", "must be greater than 0")),
        (STUDY, ("training.epochs=1.5",), ("training.epochs = 1.5", "integer")),
        (STUDY, ("training.epochs=0",), ("training.epochs = 0", "greater than or equal to 1")),
        (STUDY, ("model.name=resnet-11",), ("model.name = 'resnet-11'", "'resnet-10'")),
        (STUDY, ("training.lr",), ("--set 'training.lr'", "FIELD=VALUE")),
        (STUDY, ("training.lr=1", "training.lr=2"), ("training.lr", "given twice")),
        (STUDY, ("seed=-3",), ("seed = -3", "greater than or equal to 0")),
    ],
)
def test_studies_and_settings(refuses, study, settings, parts):
    options = [option for setting in settings for option in ("--set", setting)]
    refuses(("run", study, "--profile", "demo", *options), *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("atacks",), ("list 'atacks': there is no such list", "did you mean 'attacks'?")),
        (("zzz",), ("list 'zzz'", "allowed: modules, objectives, attacks", "fields")),
        (("attacks", "pdg"), ("list attacks 'pdg'", "did you mean 'pgd'?")),
        (("modules", "zzz"), ("list modules 'zzz'", "allowed: none, cas, cifs")),
        (("fields", "training.lrr"), ("list fields 'training.lrr'", "did you mean 'training.lr'?")),
        (("attacks", "--study-file", "none.py"), ("--study-file 'none.py' cannot be read",)),
    ],
)
def test_lists_that_are_none(refuses, arguments, parts):
    refuses(("list", *arguments), *parts)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--profile", "papr"), ("--profile", "'papr'", "'paper'", "'short'", "'demo'")),
        (("--seeds", "0"), ("--seeds",)),
        (("--gpus-per-trial", "-1"), ("--gpus-per-trial",)),
        (("--sedes", "2"), ("--sedes",)),
    ],
)
def test_options(tmp_path, options, parts):
    done = here("run", STUDY, *options, "--storage", tmp_path / "storage")
    assert done.code == 2
    for part in parts:
        assert part in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "storage").exists()


@pytest.mark.ray
def test_more_gpus_than_a_node_has(refuses):
    arguments = ("run", STUDY, *TINY, "--gpus-per-trial", "1000")
    refuses(arguments, "--gpus-per-trial 1000", "no node of the cluster has more than", command=advsweep)


@pytest.mark.ray
def test_no_cpu_and_no_gpu(refuses):
    refuses(("run", STUDY, *TINY, "--cpus-per-trial", "0"), "--cpus-per-trial 0: must be > 0 where", command=advsweep)


@pytest.mark.ray
def test_a_layout_that_a_network_cannot_be_trained_in(refuses):
    arguments = ("run", STUDY, *TINY, "--gpus-per-trial", "0", "--layout", "channels-last")
    refuses(arguments, "layout = 'channels-last'", "model.width = 4", "allowed: auto, contiguous", command=advsweep)


@pytest.mark.ray
def test_missing_data(refuses, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    refuses(("run", STUDY, "--profile", "paper", "--data-dir", data), "cifar10", str(data), "--download", command=advsweep)
    assert list(data.iterdir()) == []


@pytest.mark.ray
@pytest.mark.parametrize(
    ("address", "part"), [("127.0.0.1:1", "no Ray cluster answers there"), ("nonsense", "no Ray cluster there")]
)
def test_a_cluster_that_does_not_answer(refuses, address, part):
    refuses(("run", STUDY, *TINY, "--address", address), f"--address '{address}'", part, command=advsweep)


def test_a_tracking_server_that_does_not_answer(refuses):
    uri = "http://127.0.0.1:1"
    settings = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    refuses(("run", STUDY, *TINY), f"MLFLOW_TRACKING_URI='{uri}'", "--no-tracking", **settings)


def test_an_unsupported_tracking_uri(refuses):
    uri = "foo://bar"
    refuses(("run", STUDY, *TINY), f"MLFLOW_TRACKING_URI='{uri}'", "Supported URI schemes", MLFLOW_TRACKING_URI=uri)


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("mongo://here/there", "sqlite:///studies.db"),
        ("/nowhere/at/all.journal", "cannot be reached"),
        ("sqlite:////nowhere/at/all.db", "cannot be reached"),
    ],
)
def test_a_storage_of_optuna_that_cannot_be_opened(refuses, place, part):
    refuses(("run", STUDY, *TINY, "--optuna", place), f"--optuna '{place}'", part)


def test_a_storage_that_cannot_be_written(refuses, tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    refuses(("run", STUDY, *TINY, "--storage", file / "storage"), f"--storage '{file / 'storage'}': '{file}' is not a folder")
    assert file.read_text() == "kept"


@pytest.mark.parametrize("command", [("run", STUDY, *TINY), ("table", STUDY), ("sync",)])
def test_an_unsupported_storage(refuses, command):
    refuses((*command, "--storage", "foo://bar"), "--storage 'foo://bar'", "s3://")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--attack", "pdg"), ("attack pdg", "'pgd'")),
        (("--attack", "fgsm", "--attack", "pgd"), ("attack pgd", "iterations: must be set too")),
        (("--attack", f"transfer(source={'0' * 16}, attack=fgsm)"), ("--attack 'transfer(", "no storage", "evaluate NAME")),
        (("--attack", "fgsm", "--eps", "much"), ("--eps 'much'", "must be a number or a fraction")),
        (("--attack", "fgsm", "--eps", "8"), ("--eps 8", "must be in [0, 1]")),
    ],
)
def test_a_checkpoint_that_cannot_be_read(refuses, options, parts):
    refuses(("evaluate", "--checkpoint", "none.pt", "--model", "resnet18", *options), *parts)


@pytest.mark.parametrize("command", [("table", STUDY), ("status",), ("sync",), ("ui",)])
def test_nothing_to_show(refuses, tmp_path, command):
    refuses((*command, "--storage", tmp_path / "storage"), f"--storage '{tmp_path / 'storage'}'", "advsweep run")
    assert not (tmp_path / "storage").exists()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("study", "options", "part"),
    [
        ("cifs/table-1", (), "which holds: cifs/table-5 (demo@data.examples=64@"),
        ("cifs/table-55", (), "did you mean 'cifs/table-5'?"),
        ("cas/*", (), "advsweep run cas/*"),
        (STUDY, ("--profile", "paper"), "which holds: cifs/table-5 (demo@data.examples=64@"),
    ],
)
def test_the_table_of_a_study_without_a_run(undisturbed, refuses, study, options, part):
    refuses(("table", study, *options, "--storage", undisturbed[0]), study.partition("*")[0], part)


@pytest.mark.timeout(300)
def test_an_output_that_cannot_be_written(undisturbed, refuses, tmp_path):
    output = tmp_path / "nowhere" / "table.tex"
    refuses(
        ("table", STUDY, "--storage", undisturbed[0], "--output", output), f"--output '{output}'", "No such file or directory"
    )


@pytest.mark.timeout(300)
def test_a_damaged_record(copied, refuses):
    part = next(copied.glob("trials/*/evaluations-*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    refuses(("table", STUDY, "--storage", copied), str(part))


@pytest.mark.timeout(300)
def test_a_storage_in_use(copied, refuses):
    shutil.rmtree(next(Path(copied, "trials").iterdir()))
    with Claims.joined(Store(str(copied)), "gc", alone=True):
        files = sorted(copied.rglob("*"))
        refuses(sweep(copied), f"--storage '{copied}'", "is in use by", "(advsweep gc, process", command=advsweep, **NO_RAY)
        assert sorted(copied.rglob("*")) == files
