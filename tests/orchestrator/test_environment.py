"""The environment that Ray and MLflow read: set when it is asked for, and by no import."""

import os
import subprocess
import sys

import pytest

from orchestrator.environment import DEFAULTS, REQUIRED, configure_environment

UNCHANGED = """
import os
before = dict(os.environ)
import advsweep, orchestrator, orchestrator.cli, orchestrator.planning.expansion
import orchestrator.execution.progress, orchestrator.record.store
assert os.environ == before, os.environ.items() - before.items()
"""


def test_an_import_leaves_the_environment_as_it_was():
    names = (*REQUIRED, *DEFAULTS)
    environment = {name: value for name, value in os.environ.items() if name not in names}
    subprocess.run([sys.executable, "-c", UNCHANGED], env=environment, check=True)


@pytest.fixture
def clean(monkeypatch):
    """None of the variables is set; after the test they are as they were."""
    for name in (*REQUIRED, *DEFAULTS):
        monkeypatch.setenv(name, "")  # so that it is restored whatever the test leaves
        monkeypatch.delenv(name)
    return monkeypatch


def test_what_is_not_set_gets_its_value(clean):
    configure_environment()
    assert {name: os.environ[name] for name in (*REQUIRED, *DEFAULTS)} == REQUIRED | DEFAULTS


def test_a_users_value_stays_but_for_what_a_sweep_rests_on(clean):
    clean.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    clean.setenv("RAY_CHDIR_TO_TRIAL_DIR", "1")
    configure_environment()
    assert (os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"], os.environ["RAY_CHDIR_TO_TRIAL_DIR"]) == ("3", "0")


def test_an_actor_sets_it_before_tune_reads_it(clean, tmp_path):
    """Where Ray's node was started by another program, an actor inherits nothing of the driver's environment."""
    from orchestrator.execution import worker

    seen = []
    clean.setattr(worker.tune.Trainable, "__init__", lambda self, config: seen.append(os.environ["RAY_CHDIR_TO_TRIAL_DIR"]))
    worker.Worker({"job": None})
    assert seen == ["0"]
