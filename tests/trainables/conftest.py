import pytest
import torch

from trainables.config.entrance.parsing import reopen
from trainables.config.terms import registry


@pytest.fixture(autouse=True)
def _global_generator_untouched():
    """No function of this package reads or changes torch's global generator, so neither does any test of it."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def forgotten():
    """What a test registers is gone after it."""
    restore = registry.restorable()
    yield
    restore()
    reopen()
