import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support.command_line import Ended, advsweep, sweep
from tests.support.shared import once


@pytest.fixture(scope="session")
def undisturbed() -> tuple[Path, Ended]:
    """A sweep that was not interrupted: its storage, which no test may change, and its exit."""

    def run(folder: Path) -> None:
        (folder / "ended.json").write_text(json.dumps(asdict(advsweep(*sweep(folder / "storage")))))

    folder = once("undisturbed", run)
    return folder / "storage", Ended(**json.loads((folder / "ended.json").read_text()))


@pytest.fixture
def copied(undisturbed: tuple[Path, Ended], tmp_path: Path) -> Path:
    """A copy of the undisturbed storage."""
    return shutil.copytree(undisturbed[0], tmp_path / "storage")
