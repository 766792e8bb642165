"""How a sweep runs, as Python gives it: what is not allowed is said at once."""

import pytest

from orchestrator.errors import BadInput
from orchestrator.execution.options import Options
from trainables.config import Runtime


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cpus": -1}, "cpus = -1: allowed: >= 0, or None"),
        ({"gpus": -0.5}, "gpus = -0.5: allowed: >= 0, or None"),
        ({"concurrent": 0}, "concurrent = 0: allowed: >= 1, or None"),
        ({"runtime": Runtime(device="gpu")}, "runtime.device = 'gpu': allowed: auto, cpu, cuda, cuda:0, cuda:1 ..."),
        ({"runtime": Runtime(threads=0)}, "runtime.threads = 0: allowed: >= 1, or None"),
        ({"runtime": Runtime(memory_share=0.0)}, "runtime.memory_share = 0.0: allowed: > 0 and <= 1"),
        ({"runtime": Runtime(save_seconds=-1)}, "runtime.save_seconds = -1: allowed: >= 0"),
        ({"runtime": Runtime(layout="nhwc")}, "runtime.layout = 'nhwc': allowed: auto, contiguous, channels-last"),
        ({"runtime": Runtime(compile="on")}, "runtime.compile = 'on': allowed: off, kernels, graphs"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(given, message):
    with pytest.raises(BadInput) as error:
        Options(**given)
    assert str(error.value) == message


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1"])
def test_every_device_of_torch_is_allowed(device):
    assert Options(cpus=0.5, gpus=0.25, concurrent=1, runtime=Runtime(device=device)).runtime.device == device
