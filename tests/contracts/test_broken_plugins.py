"""A plugin that breaks a promise fails the inherited test, with a message that says which."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("broken_plugins.py")
ROOT = FILE.parents[2]

#: Of each plugin: the test that fails, and what it says.
BROKEN = {
    "TestBeyond::test_the_budget_and_the_range_are_kept": "attack 'beyond': must stay within eps = 0.1, and went to 0.2",
    "TestElsewhere::test_nothing_else_is_changed": "must draw from the generator that is given, and drew from torch",
    "TestIdle::test_it_harms": "the loss that it maximises must rise, and went from ",
    "TestFar::test_the_budget_and_the_range_are_kept": "must stay within eps = 0.1, and went to 1",
    "TestShaky::test_its_configuration_says_whether_it_draws": "draws is False, and two passes differ",
    "TestShaky::test_gradients_reach_every_weight": "no gradient reaches inserted.block1_1.idle.weight",
    "TestMean::test_a_step_changes_every_weight": "the loss must be one number for each of 16 examples: torch.Size([])",
    "TestForgetful::test_going_on_from_a_saved_state_is_going_on": "the loss after resuming must be the one without",
    "TestShare::test_arrays_are_finite_numbers_of_the_examples": "share is not finite",
    "TestShortcut::test_a_module_fits_at_every_position": "a forward pass visits 1 of 2 positions",
    "TestShort::test_examples_have_the_shape_that_is_known": "data set 'short': test images must be (60, 1, 8, 8)",
}


@pytest.fixture(scope="module")
def failures() -> str:
    """What pytest says at its end when it runs the tests of all of them, as a plugin's author would."""
    tests = [f"{FILE}::{test}" for test in BROKEN]
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE", "-o", "addopts=", "-k", "not fsr and not sap", *tests]
    environment = {**os.environ, "COLUMNS": "400"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("test", "message"), BROKEN.items(), ids=BROKEN)
def test_a_broken_promise_is_named(test: str, message: str, failures: str) -> None:
    lines = re.findall(rf"^FAILED .*{test}\b.* - (.*)$", failures, re.MULTILINE)
    assert lines, failures
    assert any(message in line for line in lines), lines
