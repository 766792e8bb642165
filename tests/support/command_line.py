"""Commands as a user starts them, and readers of what they leave in a storage."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import optuna
from mlflow import MlflowClient
from optuna.trial import FrozenTrial

from analysis.record.files import RecordFiles
from analysis.record.names import FileName, newest
from orchestrator.cli import main
from orchestrator.record.compaction import compact
from orchestrator.record.store import Store
from orchestrator.tracking.optuna_storage import open_storage

ADVSWEEP = Path(sys.executable).with_name("advsweep")

#: Every profile, field and seed of a trial that takes a second.
EPOCHS = 4
TINY = (
    *("--profile", "demo", "--seeds", "1"),
    *("--set", "data.examples=64", "--set", "model.width=4", "--set", f"training.epochs={EPOCHS}"),
)

#: Four trials (Vanilla, top-1, top-2, top-3), of which two run at once on two cores; their attacks are the cheapest.
STUDY = "cifs/table-5"
TRIALS = 4

#: Where Ray cannot start: it keeps its session in a folder below.
NO_RAY = {"RAY_TMPDIR": "/proc"}

#: Generous: a machine with two busy cores takes 20 s for what most tests wait for.
SECONDS = 180.0


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Process:
    """A living process of this machine; ``session``: the pid that leads its session."""

    pid: int
    parent: int
    session: int
    line: str

    @property
    def trains(self) -> bool:
        """Whether the process is an actor of a sweep, idle or busy."""
        return self.line.startswith(("ray::Worker", "ray::ResourceTrainable"))

    @property
    def program(self) -> str:
        """The name of the program, or of the script that Python runs."""
        words = [Path(word).name for word in self.line.split()]
        return next((word for word in words if not word.startswith(("python", "-"))), "")


def processes() -> list[Process]:
    """Return every living process."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            state, parent, _, session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            if state != "Z":
                found.append(Process(int(folder.name), int(parent), int(session), line))
        except (OSError, ValueError):
            continue  # no process, or one that has just ended
    return found


class Started:
    """A running command in a separate session."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self._process = process
        self._out = out
        self._err = err

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait until a condition holds; the run must not end before."""

        def now() -> bool:
            try:
                return reached()
            except FileNotFoundError:  # a temporary file, renamed since it was listed
                return False

        limit = time.monotonic() + SECONDS
        while not now():
            assert self._process.poll() is None, f"it ended too early:\n{self.out}\n{self.err}"
            assert time.monotonic() < limit, f"it never came so far:\n{self.out}\n{self.err}"
            time.sleep(0.005)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the driver alone."""
        self._process.send_signal(number)

    def ctrl_c(self) -> None:
        """Send SIGINT to the driver and every process of its group, as a terminal does."""
        os.killpg(self._process.pid, signal.SIGINT)

    def wait(self) -> Ended:
        return Ended(self._process.wait(SECONDS), self.out, self.err)

    def processes(self) -> list["Process"]:
        """Return every living process of the session."""
        return [process for process in processes() if process.session == self._process.pid]

    def runs(self, name: str) -> bool:
        """Whether a program of the session has this in its command line."""
        return any(name in process.line for process in self.processes())

    def gone(self) -> None:
        """Wait until nothing trains or schedules any more. Two of Ray's reporters stay for up to a minute after a kill."""
        limit = time.monotonic() + SECONDS
        while left := [p for p in self.processes() if p.trains or p.program in {"raylet", "gcs_server", "advsweep"}]:
            assert time.monotonic() < limit, left
            time.sleep(0.05)


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of a user who has set only ``settings``."""
    ours = ("RAY_", "TUNE_", "MLFLOW_", "ADVSWEEP_", "OMP_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"COLUMNS": "200"} | settings


@contextmanager
def started(*arguments: object, folder: Path, **settings: str) -> Iterator[Started]:
    """A command under way, its output in ``folder``. What is left of its session is killed at the end."""
    out, err = folder / "out.txt", folder / "err.txt"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = subprocess.Popen(
            [ADVSWEEP, *map(str, arguments)],
            stdout=out_file,
            stderr=err_file,
            env=environment(**settings),
            start_new_session=True,
            # Python ignores SIGINT for ever where it was started so, as a shell does with its background jobs.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    command = Started(process, out, err)
    try:
        yield command
    finally:
        for left in command.processes():
            with suppress(ProcessLookupError):
                os.kill(left.pid, signal.SIGKILL)
        process.wait(SECONDS)


def advsweep(*arguments: object, cwd: Path | None = None, seconds: float = SECONDS, **settings: str) -> Ended:
    """A command from its start to its end, which comes within so many ``seconds``."""
    done = subprocess.run(
        [ADVSWEEP, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        env=environment(**settings),
        cwd=cwd,
        start_new_session=True,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def here(*arguments: object, cwd: Path | None = None, **settings: str) -> Ended:
    """A command in this process, for what starts neither Ray nor a server: a process takes longer to begin than all of it."""
    out, err = StringIO(), StringIO()
    handler, code = signal.getsignal(signal.SIGTERM), None
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {"COLUMNS": "200", **NO_RAY, **settings}))
        for name in [n for n in os.environ if n.startswith("ADVSWEEP_") or n == "MLFLOW_TRACKING_URI"]:
            if name not in settings:
                del os.environ[name]
        stack.enter_context(patch.object(sys, "argv", ["advsweep", *map(str, arguments)]))
        stack.enter_context(chdir(cwd or Path.cwd()))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        stack.callback(signal.signal, signal.SIGTERM, handler)
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int), "it ends as a program does"
    return Ended(code, out.getvalue(), err.getvalue())


def sweep(storage: Path | str, *arguments: object, study: str = STUDY) -> tuple[object, ...]:
    """Return the arguments of a tiny sweep that loses no finished epoch."""
    return ("run", study, *TINY, "--cpus-per-trial", "1", "--save-every", "0", "--storage", storage, *arguments)


def table(storage: Path | str, *arguments: object, study: str = STUDY) -> str:
    """Return a study's table as CSV; of a local storage it must be the same from segments, and without them."""
    printed = _table(storage, arguments, study)
    if isinstance(storage, Path):
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place, "storage")
            shutil.copytree(storage, copy, ignore=shutil.ignore_patterns("mlflow*", "weights-*", "state-*"))
            shutil.rmtree(copy / "segments", ignore_errors=True)
            assert _table(copy, arguments, study) == printed
            compact(Store(str(copy)))
            assert _table(copy, arguments, study) == printed
    return printed


def _table(storage: Path | str, arguments: Sequence[object], study: str) -> str:
    done = here("table", study, "--format", "csv", "--storage", storage, *arguments)
    assert (done.code, done.err) == (0, "")
    return done.out


# --- the record ---------------------------------------------------------------------------------------------------------


def newest_file(storage: Path, trial: str, table: str) -> Path:
    """Return the path of the newest version of a trial's file, such as its ``state``."""
    folder = storage / "trials" / trial
    *_, name = newest(filter(None, (FileName.parse(path.name) for path in folder.iterdir())), table)
    return folder / str(name)


def _rows(storage: Path | str, trial: str, table: str) -> list[dict[str, Any]]:
    files = RecordFiles(str(storage))

    def read(names: Sequence[FileName]) -> list[dict[str, Any]]:
        return [row for name in newest(names, table) for row in files.read_table(trial, name).to_pylist()]

    return files.consistently(trial, files.trials([trial]).get(trial, []), read)


def trials(storage: Path | str) -> dict[str, str]:
    """Return the status of every trial by its key."""
    keys = RecordFiles(str(storage)).trials()
    return {key: str(row["status"]) for key in keys for row in _rows(storage, key, "trial")}


def epochs(storage: Path | str) -> dict[str, list[dict[str, Any]]]:
    """Every finished epoch by trial; ``finished`` says when, so an epoch that was trained again is another row."""
    return {key: row["history"] for key in trials(storage) for row in _rows(storage, key, "trial")}


def evaluations(storage: Path | str) -> dict[str, list[dict[str, Any]]]:
    """Every evaluation and head by trial, as often as it was run."""
    return {key: _rows(storage, key, "evaluations") for key in trials(storage)}


def numbers(storage: Path | str) -> dict[str, tuple[Any, ...]]:
    """Everything that was computed, without when and how fast: the same for the same trials, however often they stopped."""
    fields = ("epoch", "lr", "train_loss", "train_accuracy", "natural_accuracy", "robust_accuracy")
    return {
        key: (
            [tuple(row[name] for name in fields) for row in epochs(storage)[key]],
            sorted((row["evaluation"], row["head"], row["epoch"], row["accuracy"]) for row in rows),
            sorted((row["evaluation"], row["head"], row["ranks"]) for row in _rows(storage, key, "outcomes")),
        )
        for key, rows in evaluations(storage).items()
    }


def assert_kept(before: Mapping[str, list[dict[str, object]]], after: Mapping[str, list[dict[str, object]]]) -> None:
    """Every row that was there is there, with the time at which it was made: nothing finished was done again."""
    for trial, rows in before.items():
        assert [row for row in after[trial] if row in rows] == rows, trial


def assert_once(rows: Mapping[str, list[dict[str, object]]]) -> None:
    """Check that no evaluation was run twice."""
    counts = Counter((row["evaluation"], row["head"]) for every in rows.values() for row in every)
    assert {pair: n for pair, n in counts.items() if n > 1} == {}


# --- MLflow and Optuna --------------------------------------------------------------------------------------------------


def runs(storage: Path) -> list[tuple[str, str]]:
    """Return key and status of every trial's MLflow run, sorted."""
    client = MlflowClient(tracking_uri=f"sqlite:///{storage}/mlflow.db")
    every = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(every, "tags.`advsweep.trial` != ''", max_results=1000)
    return sorted((run.data.tags["advsweep.trial"], run.info.status) for run in found)


def optuna_study(storage: Path, place: str | None = None) -> optuna.Study:
    """Load the study from Optuna. ``place``: its database, by default the storage's journal."""
    opened = open_storage(place or f"{storage}/optuna.journal")
    (name,) = (name for name in optuna.get_all_study_names(opened) if name.startswith(f"{STUDY} ("))
    return optuna.load_study(study_name=name, storage=opened)


def optuna_trials(storage: Path, place: str | None = None) -> dict[str, FrozenTrial]:
    """Return every trial of the study in Optuna by its key."""
    trials = optuna_study(storage, place).trials
    found = {trial.user_attrs["trial"]: trial for trial in trials}
    assert len(found) == len(trials), "a trial was reported twice"
    return found
