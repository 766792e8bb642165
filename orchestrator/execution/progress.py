"""The progress of a sweep: a live view on a terminal, plain lines in files and pipes."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator.cost.network_size import multiply_adds
from orchestrator.cost.passes import evaluation_passes, measurement_passes, training_passes
from orchestrator.planning.plan import PlannedTrial
from orchestrator.record.files import set_aside
from orchestrator.record.report import End, Report

#: The most running trials that the live view lists.
MAX_LISTED = 16


class Outcome(NamedTuple):
    """What a sweep could not do, and how long it took.

    ``failures``: why trials failed, by their keys. ``not_run``: why evaluations could not be run, by the trial's key and the
    evaluation's name; ``failed``: the same of evaluations and measurements that failed. ``hours``: computation,
    summed over trials that ran at once; without loading data and writing the record.
    """

    failures: dict[str, End]
    not_run: dict[str, dict[str, str]]
    failed: dict[str, dict[str, str]]
    hours: float = 0.0

    def and_then(self, later: "Outcome") -> "Outcome":
        """Combine this outcome with that of a later run of the same sweep."""
        failures, not_run = self.failures | later.failures, self.not_run | later.not_run
        failed = {key: {**self.failed.get(key, {}), **later.failed.get(key, {})} for key in self.failed | later.failed}
        return Outcome(failures, not_run, failed, self.hours + later.hours)


@dataclass
class _TrialProgress:
    """A trial as of its last report; ``left`` and ``unmeasured``: evaluations and measurements still to do."""

    label: str
    epochs: int
    evaluations: int
    measurements: int
    remaining: float  # multiply-adds still to do
    size: int  # multiply-adds of a pass
    epoch: int = 0
    left: int = 0
    unmeasured: int = 0
    natural: float | None = None
    robust: float | None = None


class Progress:
    """Shows the state of trials, and estimates the time left from the multiply-adds done so far in this run.

    ``trials``: the trials known at the start; ``expected``: how many there will be, if more are added. ``lag``: describes how
    far MLflow and Optuna are behind.
    """

    def __init__(
        self,
        trials: Sequence[PlannedTrial],
        console: Console,
        expected: int | None = None,
        lag: Callable[[], str] = str,
    ) -> None:
        self._console = console
        self._lag = lag
        self._expected = expected
        self._rows = {t.key: _progress_of(t) for t in trials}
        self._total = sum(row.remaining for row in self._rows.values())
        self._running: set[str] = set()
        self._done: set[str] = set()
        self._failed: dict[str, End] = {}
        self._stopped: dict[str, str] = {}
        self._not_run: dict[str, dict[str, str]] = {}
        self._failed_in: dict[str, dict[str, str]] = {}  # evaluations and measurements
        self._elsewhere: set[str] = set()
        self._drivers: set[str] = set()  # the others, which run these trials
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._first: float | None = None
        self._seconds = 0.0
        self._live = Live(get_renderable=self._view, console=console, refresh_per_second=2, transient=True)
        self._plain = not console.is_terminal

    def __enter__(self) -> Self:
        if not self._plain:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if not self._plain:
            self._live.stop()
        self._console.print(self._summary(), highlight=False)

    @property
    def done(self) -> int:
        """How many trials are done, the ones stopped early included."""
        return len(self._done)

    @property
    def failures(self) -> dict[str, End]:
        """Why trials failed, by their keys."""
        return dict(self._failed)

    @property
    def outcome(self) -> Outcome:
        """What could not be done so far, and how long it took."""
        return Outcome(self.failures, dict(self._not_run), dict(self._failed_in), self._seconds / 3600)

    def add(self, trial: PlannedTrial) -> None:
        """Add a trial to those known at the start."""
        with self._lock:
            row = self._rows[trial.key] = _progress_of(trial)
            self._total += row.remaining

    def started(self, key: str) -> None:
        """Show a trial as running."""
        with self._lock:
            self._running.add(key)
            self._elsewhere.discard(key)

    def advanced(self, key: str, report: Report) -> None:
        """Show a trial's report."""
        with self._lock:
            row = self._rows[key]
            row.epoch, row.left, row.unmeasured = report.epoch, report.evaluations_left, report.measurements_left
            row.natural, row.robust = report.natural_accuracy, report.robust_accuracy
            row.remaining = max(0.0, row.remaining - report.passes * row.size)
            self._seconds += report.seconds
            # From the first report's work on: before it, processes started and data were loaded, once.
            self._first = self._first or time.monotonic() - report.seconds
            damaged = [f"{row.label}: {set_aside(path)}" for path in report.damaged]
            lines: list[str] = []
            for word, which, reasons in (
                ("NOT RUN", self._not_run, report.not_run),
                ("FAILED", self._failed_in, report.failed),
            ):
                if reasons:
                    which.setdefault(key, {}).update(reasons)
                lines += [f"{row.label}: {word}: {evaluation}: {why}" for evaluation, why in reasons.items()]
            if report.done:
                self._end(key, report.failure)
            lines.append(self._line(key))
        for line in [*damaged, *lines] if self._plain else damaged:
            self._console.print(line, markup=False, highlight=False)

    def elsewhere(self, key: str, driver: str) -> None:
        """Show that another driver runs a trial."""
        with self._lock:
            self._elsewhere.add(key)
            new = driver not in self._drivers
            self._drivers.add(driver)
        if new:
            self._console.print(
                f"{driver} runs trials of this plan too: what it has begun is waited for", markup=False, highlight=False
            )

    def failed(self, key: str, end: End) -> None:
        """Show that a trial failed for good."""
        with self._lock:
            self._end(key, end)
            line = self._line(key)
        if self._plain:
            self._console.print(line, markup=False, highlight=False)

    def stopped(self, key: str, why: str) -> None:
        """Show that a trial was stopped early."""
        with self._lock:
            self._stopped[key] = why
            self._total -= self._rows[key].remaining
            self._end(key, None)
            line = self._line(key)
        if self._plain:
            self._console.print(line, markup=False, highlight=False)

    def _end(self, key: str, failure: End | None) -> None:
        """Count a trial as failed, or as done."""
        self._running.discard(key)
        self._elsewhere.discard(key)
        self._rows[key].remaining = 0.0
        if failure:
            self._failed[key] = failure
        else:
            self._done.add(key)

    def _line(self, key: str) -> str:
        """Describe a trial and the time left in one line."""
        row = self._rows[key]
        if key in self._failed:
            return f"{row.label}: FAILED: {self._failed[key].reason}"
        state = self._stopped.get(key) or ("done" if key in self._done else _stage(row))
        return f"[{len(self._done)}/{self._count}] {row.label}: {state}{_accuracies(row)}, {self._left()}"

    def _summary(self) -> str:
        """Describe the whole sweep at its end in one line."""
        text = f"{len(self._done)} of {self._count} trials done"
        if self._stopped:
            text += f", {len(self._stopped)} of them stopped early"
        if self._failed:
            text += f", {len(self._failed)} failed"
        if begun := sum(row.epoch >= row.epochs and row.remaining > 0 for row in self._rows.values()):
            text += f", {begun} more trained, with evaluations left"
        if self._not_run:
            text += f", {sum(map(len, self._not_run.values()))} evaluations not run"
        if self._failed_in:
            text += f", {sum(map(len, self._failed_in.values()))} evaluations failed"
        return f"{text}, in {_duration(time.monotonic() - self._began)}"

    @property
    def _count(self) -> int:
        return max(len(self._rows), self._expected or 0)

    def _left(self) -> str:
        """Describe the estimated time left."""
        remaining = sum(row.remaining for row in self._rows.values())
        done = self._total - remaining
        if self._rows:  # trials that are still to be added are taken to cost as much as the others on average
            remaining += (self._count - len(self._rows)) * self._total / len(self._rows)
        if not done or self._first is None:
            return "time left: not known yet"
        return f"about {_duration((time.monotonic() - self._first) * remaining / done)} left"

    def _view(self) -> Group:
        """Build the live view: counts, running trials, and the last failures."""
        with self._lock:
            elsewhere = len(self._elsewhere)
            waiting = self._count - len(self._running) - len(self._done) - len(self._failed) - elsewhere
            head = Text(
                f"trials: {len(self._done)} done, {len(self._running)} running, {waiting} waiting, {len(self._failed)} failed"
                + (f", {elsewhere} run by others" if elsewhere else "")
                + f"   {self._left()}   {self._lag()}".rstrip(),
                style="bold",
            )
            table = Table(box=None, pad_edge=False)
            for name in ("trial", "stage", "natural", "robust"):
                table.add_column(name, justify="right" if name in {"natural", "robust"} else "left")
            running = [self._rows[key] for key in self._rows if key in self._running]
            for row in running[:MAX_LISTED]:
                table.add_row(Text(row.label), _stage(row), _percent(row.natural), _percent(row.robust))
            more = [Text(f"... and {len(running) - MAX_LISTED} more")] if len(running) > MAX_LISTED else []
            by_trial = (*self._not_run.items(), *self._failed_in.items())
            lacking = [(key, f"{label}: {why}") for key, reasons in by_trial for label, why in reasons.items()]
            last = [*lacking, *((key, end.reason) for key, end in self._failed.items())][-5:]
            failures = [Text(f"{self._rows[key].label}: {why}", style="red") for key, why in last]
            return Group(head, table, *more, *failures)


def _progress_of(trial: PlannedTrial) -> _TrialProgress:
    epochs = trial.config.training.epochs
    epoch = min(trial.recorded.epochs, epochs)
    cost = (epochs - epoch) * training_passes(trial.config)
    cost += sum(evaluation_passes(trial.config, e.attack) for e in trial.missing)
    cost += sum(measurement_passes(trial.config, m.measure) for m in trial.unmeasured)
    missing, unmeasured = len(trial.missing), len(trial.unmeasured)
    size = multiply_adds(trial.config.model, trial.config.module, trial.config.data.info)
    return _TrialProgress(trial.label, epochs, missing, unmeasured, cost * size, size, epoch, missing, unmeasured)


def _stage(row: _TrialProgress) -> str:
    """Describe what a trial is doing: an epoch, an evaluation or a measurement."""
    if row.epoch < row.epochs:
        return f"epoch {row.epoch}/{row.epochs}"
    if row.measurements and not row.left:
        return f"measurement {row.measurements - row.unmeasured}/{row.measurements}"
    return f"evaluation {row.evaluations - row.left}/{row.evaluations}"


def _accuracies(row: _TrialProgress) -> str:
    return "" if row.natural is None else f", natural {_percent(row.natural)}, robust {_percent(row.robust)}"


def _percent(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{100 * accuracy:.2f}"


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
