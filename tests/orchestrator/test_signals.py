"""How commands end: by a signal with a line and with their servers, at a port that is taken, with output that has no room."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.record.store import Store
from orchestrator.signals import run_group
from tests.orchestrator.record.test_store import trial_row
from tests.support.command_line import ADVSWEEP, here, started

#: A server that has started another process, and does not end by itself; both write their ids.
SERVER = (
    "import os, pathlib, subprocess, sys, time\n"
    "place = pathlib.Path(sys.argv[1])\n"
    "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "(place / 'half').write_text(f'{os.getpid()} {other.pid}')\n"
    "(place / 'half').rename(place / 'ids')\n"
    "time.sleep(600)\n"
)
START = "import sys; from orchestrator.signals import run_group; sys.exit(run_group([sys.executable, '-c', *sys.argv[1:]]))"


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(reached, seconds=30.0):
    limit = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_processes_of_a_server(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-c", START, SERVER, str(tmp_path)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    until((tmp_path / "ids").exists)
    ids = [int(text) for text in (tmp_path / "ids").read_text().split()]
    process.send_signal(number)
    assert process.wait(30) == 130
    until(lambda: not any(map(lives, ids)))


def test_the_exit_code_is_the_commands_and_handlers_are_as_before():
    before = signal.getsignal(signal.SIGTERM)
    assert run_group([sys.executable, "-c", "import sys; sys.exit(3)"]) == 3
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_port_in_use_is_refused(tmp_path):
    Store(str(tmp_path)).write_trial(trial_row())
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = here("ui", "--storage", tmp_path, "--port", port)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"advsweep: --port {port} is in use by another process; name another one\n"
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_the_ui_takes_its_server_with_it(tmp_path):
    Store(str(tmp_path / "storage")).write_trial(trial_row())
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with started("ui", "--storage", tmp_path / "storage", "--port", port, folder=tmp_path) as command:

        def answers():
            with socket.socket() as tried:
                return tried.connect_ex(("127.0.0.1", port)) == 0

        command.until(answers)
        command.send(signal.SIGTERM)
        assert command.wait().code == 130
        assert not answers()
        until(lambda: command.processes() == [])


def test_a_signal_before_anything_began_is_one_line_too(tmp_path, monkeypatch):
    def stopped(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("orchestrator.api.plans.find_studies", stopped)
    ended = here("run", "cifs/table-5", "--profile", "demo", "--storage", tmp_path / "none")
    assert (ended.code, ended.out) == (130, "")
    assert ended.err == "advsweep: stopped; finished work is kept. To go on, run the same command again\n"


def test_output_without_room_is_one_line():
    with open("/dev/full", "w") as full:
        ended = subprocess.run([ADVSWEEP, "studies"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "advsweep: the output cannot be written: No space left on device\n"


def test_a_value_that_is_not_allowed_is_no_error_of_a_value():
    ended = here("run", "cifs/table-5", "--profile", "nope")
    assert ended.code == 2
    assert "'nope' is not one of" in ended.err
    assert "Value error" not in ended.err
