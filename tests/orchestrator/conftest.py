from pathlib import Path

import pytest

from orchestrator.environment import configure_environment
from orchestrator.execution.job import Job
from orchestrator.record.store import Store
from tests.support.tiny_study import jobs, tiny_plan

configure_environment()  # before a test imports MLflow


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "storage"))


@pytest.fixture
def job(store: Store) -> Job:
    """The CAS row of the tiny study."""
    return jobs(tiny_plan(), store)[1]
