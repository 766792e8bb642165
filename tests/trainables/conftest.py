import pytest
import torch

from trainables.config.entrance.parsing import reopen
from trainables.config.terms import registry


@pytest.fixture(autouse=True)
def _global_generator_untouched():
    """Check that no test of this package changes torch's global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def forgotten():
    """Remove what a test registered when it ends."""
    restore = registry.restorable()
    yield
    restore()
    reopen()
