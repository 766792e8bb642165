"""What every test has: one thread, and a folder for what is made once in a run."""

import os
from collections.abc import Iterator

import pytest
import torch

pytest.register_assert_rewrite("tests.support")

from tests.support.shared import share_in  # noqa: E402
from trainables.config.entrance.parsing import reopen  # noqa: E402
from trainables.config.terms import registry  # noqa: E402

# Numba compiles Brendel & Bethge's attack for half a minute, and a third less without optimising what runs for a moment.
os.environ.setdefault("NUMBA_OPT", "0")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = tmp_path_factory.getbasetemp()
    # A worker of xdist has its own folder below the run's.
    share_in(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(autouse=True)
def _in_its_group(request: pytest.FixtureRequest) -> None:
    """Fail where xdist leaves tests of one group to any process, as it silently does with a pytest that it does not know."""
    if "PYTEST_XDIST_WORKER" in os.environ and (group := request.node.get_closest_marker("xdist_group")):
        assert request.node.nodeid.endswith(f"@{group.args[0]}"), "xdist does not know this test's group"


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What a test registers is gone after it."""
    restore = registry.restorable()
    yield
    restore()
    reopen()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the tests of what Numba compiles for half a minute to one process, and to `make test-all`."""
    for item in items:
        if "brendel-bethge" in item.name:
            item.add_marker(pytest.mark.xdist_group("numba"))
            item.add_marker(pytest.mark.slow)
