"""Damaged files, and a full disk, as a user meets them: one line that names the file, and the next run mends it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

import advsweep
from orchestrator.record.compaction import compact
from orchestrator.record.store import Store
from tests.orchestrator.record.test_store import measure_row
from tests.support import command_line
from tests.support.command_line import STUDY, TINY, Ended, here, sweep, table
from tests.support.damage import DAMAGE, PATTERNS, damage, files

#: Commands that read a storage and change nothing in it, and the kinds of files that each cannot do without.
READERS: dict[tuple[str, ...], set[str]] = {
    ("plan", STUDY, *TINY): {"trial", "evaluations", "measures"},
    ("status",): {"trial", "evaluations", "measures", "manifest"},
    ("table", STUDY): {"trial", "evaluations", "measures", "manifest"},
    ("table", STUDY, "--over-beta", "per-sample"): {"trial", "evaluations", "measures", "manifest", "outcomes"},
    ("figure", STUDY): {"trial", "evaluations", "measures", "manifest", "outcomes"},
    ("compact",): {"trial", "evaluations"},
    ("sync",): {"trial", "evaluations", "measures", "manifest", "identity"},
}

SLOW = set(PATTERNS) - {"evaluations", "outcomes", "manifest"}


def one_line(done: Ended, file: Path) -> None:
    """Check that a command ended with 2 and a single line on stderr that names the file and says what mends it."""
    assert done.code == 2
    [line] = done.err.splitlines()
    assert str(file) in line
    assert "is damaged" in line
    assert "`advsweep doctor" in line


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow if k in SLOW else ()) for k in PATTERNS])
def test_a_damaged_file_is_one_line_in_every_command_that_reads_it(copied: Path, kind: str) -> None:
    store = Store(str(copied))
    for trial in store.trials():
        store.write_measures(trial, "x", [measure_row(trial=trial)])
    store.identity()
    if kind == "segment":
        compact(store)
    if kind == "state":
        store.write_state(next(iter(store.trials())), 1, b"left by a process that was killed at the end")
    expected = table(copied)
    file = files(copied, kind)[0]
    for (command, needs), how in zip(READERS.items(), [*DAMAGE] * 3, strict=False):
        data = file.read_bytes()
        damage(file, how)
        done = here(*command, "--storage", copied)
        if done.code:
            one_line(done, file)
        assert (done.code == 2) == (kind in needs), (command, done)
        damaged = here("doctor", "--storage", copied)
        assert damaged.code == (0 if kind == "segment" else 1)
        replaced = kind == "segment" and command[0] == "compact"
        assert (str(file.relative_to(copied)) in damaged.out) == (not replaced)
        file.write_bytes(data)
    assert table(copied) == expected


@pytest.mark.parametrize("kind", ["trial", "evaluations", "measures", "weights"])
def test_a_damaged_file_is_one_line_in_python(copied: Path, kind: str) -> None:
    store = Store(str(copied))
    trial = next(iter(store.trials()))
    store.write_measures(trial, "x", [measure_row(trial=trial)])
    for file in (copied / "trials" / trial).glob(f"{kind}-*"):
        damage(file)
    read = partial(advsweep.load_model, trial=trial) if kind == "weights" else advsweep.load
    with pytest.raises(advsweep.Unavailable, match=rf"{trial}/{kind}-\S+ is damaged: [^\n]*; `advsweep doctor[^\n]*$"):
        read(str(copied))


@pytest.mark.slow
def test_the_next_run_mends_everything(copied: Path) -> None:
    before = table(copied, "--over-beta", "per-sample")
    damaged = []
    # Every trial loses something else.
    trials = sorted((copied / "trials").iterdir())
    for trial, kinds in zip(trials, (["trial"], ["evaluations"], ["outcomes"], ["weights"]), strict=True):
        damaged += [damage(max(trial.glob(f"{kind}-*"))) for kind in kinds]
    damaged += [damage(files(copied, "manifest")[0])]
    done = command_line.advsweep(*sweep(copied, "--verify"))
    assert (done.code, done.err) == (0, "")
    for file in damaged:
        assert f"{file} was damaged and is set aside as {file.name}.damaged" in done.out
    assert table(copied, "--over-beta", "per-sample") == before
    found = here("doctor", "--storage", copied)
    assert found.code == 0
    assert {line.split(":")[0] for line in found.out.splitlines()[:-1]} <= {"set aside", "orphaned", "doubled"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("check", STUDY, *TINY),
        ("search", "cifs", *TINY, "--factors", "top_k", "--objective", "Natural", "--trials", "2", "--finalists", "0"),
    ],
    ids=["check", "search"],
)
def test_other_commands_that_run_trials_set_damaged_files_aside_too(copied: Path, command: tuple[str, ...]) -> None:
    first = command_line.advsweep(*command, "--storage", copied, "--cpus-per-trial", "1")
    assert first.code in {0, 1}  # a checklist may fail
    trial = sorted((copied / "trials").iterdir())[0]
    kinds = ("evaluations",) if command[0] == "check" else ("evaluations", "weights")  # it trains nothing
    damaged = [damage(max(trial.glob(f"{kind}-*"))) for kind in kinds]
    again = command_line.advsweep(*command, "--storage", copied, "--cpus-per-trial", "1", "--verify")
    assert (again.code, again.err) == (first.code, first.err)
    for file in damaged:
        assert f"{file} was damaged and is set aside as {file.name}.damaged" in again.out
    assert here("doctor", "--storage", copied).code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(
    small_disk: Path, undisturbed: tuple[Path, Ended], tmp_path: Path
) -> None:
    storage, filler = small_disk / "storage", small_disk / "filler"
    with command_line.started(*sweep(storage, "--no-tracking"), folder=tmp_path) as command:
        command.until(lambda: any(storage.glob("trials/*/state-*")))
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
        done = command.wait()
    assert done.code == 2
    [line] = done.err.splitlines()
    assert "no space left on its disk; make room and run the same command again" in line
    assert "FAILED" not in done.out
    assert not list(storage.rglob("*.tmp"))
    assert "failed" not in command_line.trials(storage).values()
    refused = command_line.advsweep(*sweep(storage, "--no-tracking"))
    assert refused.code == 2
    [line] = refused.err.splitlines()
    assert "space" in line or "the checkpoints of this plan take about" in line
    filler.unlink()
    assert command_line.advsweep(*sweep(storage, "--no-tracking")).code == 0
    assert table(storage) == table(undisturbed[0])
