import pytest
import torch


@pytest.fixture(autouse=True)
def _global_generator_untouched():
    """Check that no test of this package changes torch's global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
