import shutil
from pathlib import Path

import pytest
from command import Ended, advsweep, sweep


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A sweep that nothing disturbed: its storage, which no test may change, and how it ended."""
    storage = tmp_path_factory.mktemp("undisturbed") / "storage"
    return storage, advsweep(*sweep(storage))


@pytest.fixture
def copied(undisturbed: tuple[Path, Ended], tmp_path: Path) -> Path:
    """A copy of the undisturbed storage."""
    return shutil.copytree(undisturbed[0], tmp_path / "storage")
