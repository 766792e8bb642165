"""The command `table`: which of a study's variants it shows, and how it watches one."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from tests.support.handmade_record import Storage, arm, manifest


def table(storage: Storage, *arguments: str) -> str:
    """Run the command on the study of a handmade record, and return what it prints."""
    command = ["table", "cifs/modules", "--checkpoint", "last", "--storage", str(storage.root), *arguments]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A study in two variants, of which the newer one has an attack that is not run yet."""
    made = Storage(tmp_path)
    made.evaluated("a0", natural=9, FGSM0=6, PGD0=2)
    made.evaluated("b0", natural=8, FGSM0=5)
    made.manifest(manifest(arm("CAS", ["a0"]), created="2026-11-20T10:00:00+00:00"))
    other = manifest(arm("CAS", ["b0"]), overrides={"training.lr": 0.5}, variant="demo@training.lr=0.5")
    made.manifest(replace(other, created="2026-11-21T10:00:00+00:00"))
    return made


def test_every_variant_has_its_table(storage: Storage) -> None:
    newest = table(storage)
    assert "80.00" in newest
    assert table(storage, "--set", "training.lr=0.5") == table(storage, "--variant", "demo@training.lr=0.5") == newest
    assert "90.00" in table(storage, "--variant", "demo")


def test_a_watched_table_is_printed_again_when_it_has_grown(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [lambda: None, lambda: storage.evaluation("b0", "PGD0", "1000000000")]
    monkeypatch.setattr(time, "sleep", lambda seconds: steps.pop(0)())
    shown = table(storage, "--watch")
    assert shown.count("80.00") == 2
    assert [words in shown for words in ("– [1]", "[1] seed 0: not evaluated yet", "10.00")] == [True] * 3
    assert steps == []


def test_a_watch_ends_with_ctrl_c(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    assert table(storage, "--watch") == table(storage)
