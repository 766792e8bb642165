from pathlib import Path

import pytest
import torch
from tiny_study import jobs, tiny_plan

from orchestrator.environment import configure_environment
from orchestrator.execution.job import Job
from orchestrator.record.store import Store

configure_environment()  # before a test imports MLflow


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "storage"))


@pytest.fixture
def job(store: Store) -> Job:
    """The CAS row of the tiny study."""
    return jobs(tiny_plan(), store)[1]
