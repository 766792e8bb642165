"""What a user sees while a sweep runs: one live view on a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator.cost.network_size import multiply_adds
from orchestrator.cost.passes import evaluation_passes, measurement_passes, training_passes
from orchestrator.planning.plan import PlannedTrial
from orchestrator.record.report import End, Report

#: Rows of running trials that fit a screen beside the rest.
SHOWN = 16


@dataclass
class _Row:
    """One trial as last heard of."""

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
    """Counts trials, and foretells the end from the cost of what was done so far in this run.

    ``trials``: that are known at the start; ``expected``: how many there will be, where more are added.
    """

    def __init__(self, trials: Sequence[PlannedTrial], console: Console, expected: int | None = None) -> None:
        self._console = console
        self._expected = expected
        self._rows = {t.key: _row(t) for t in trials}
        self._total = sum(row.remaining for row in self._rows.values())
        self._running: set[str] = set()
        self._done: set[str] = set()
        self._failed: dict[str, End] = {}
        self._stopped: dict[str, str] = {}
        self._not_run: dict[str, dict[str, str]] = {}
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
        return len(self._done)

    @property
    def failures(self) -> dict[str, End]:
        """Why trials failed, by their keys."""
        return dict(self._failed)

    @property
    def not_run(self) -> dict[str, dict[str, str]]:
        """Of trials that are done: why some of their evaluations are not, by trial's key and evaluation's label."""
        return dict(self._not_run)

    @property
    def hours(self) -> float:
        """What the trials took so far, added up over those that ran at once; without loading data and writing the record."""
        return self._seconds / 3600

    def add(self, trial: PlannedTrial) -> None:
        """One more trial."""
        with self._lock:
            row = self._rows[trial.key] = _row(trial)
            self._total += row.remaining

    def started(self, key: str) -> None:
        with self._lock:
            self._running.add(key)
            self._first = self._first or time.monotonic()

    def advanced(self, key: str, report: Report) -> None:
        with self._lock:
            row = self._rows[key]
            row.epoch, row.left, row.unmeasured = report.epoch, report.evaluations_left, report.measurements_left
            row.natural, row.robust = report.natural_accuracy, report.robust_accuracy
            row.remaining = max(0.0, row.remaining - report.passes * row.size)
            self._seconds += report.seconds
            if report.not_run:
                self._not_run.setdefault(key, {}).update(report.not_run)
            lines = [f"{row.label}: NOT RUN: {evaluation}: {why}" for evaluation, why in report.not_run.items()]
            if report.done:
                self._end(key, report.failure)
            lines.append(self._line(key))
        if self._plain:
            for line in lines:
                self._console.print(line, markup=False, highlight=False)

    def failed(self, key: str, end: End) -> None:
        with self._lock:
            self._end(key, end)
            line = self._line(key)
        if self._plain:
            self._console.print(line, markup=False, highlight=False)

    def stopped(self, key: str, why: str) -> None:
        """A trial was ended early, on purpose."""
        with self._lock:
            self._stopped[key] = why
            self._total -= self._rows[key].remaining
            self._end(key, None)
            line = self._line(key)
        if self._plain:
            self._console.print(line, markup=False, highlight=False)

    def _end(self, key: str, failure: End | None) -> None:
        self._running.discard(key)
        self._rows[key].remaining = 0.0
        if failure:
            self._failed[key] = failure
        else:
            self._done.add(key)

    def _line(self, key: str) -> str:
        row = self._rows[key]
        if key in self._failed:
            return f"{row.label}: FAILED: {self._failed[key].reason}"
        state = self._stopped.get(key) or ("done" if key in self._done else _stage(row))
        return f"[{len(self._done)}/{self._count}] {row.label}: {state}{_accuracies(row)}, {self._left()}"

    def _summary(self) -> str:
        text = f"{len(self._done)} of {self._count} trials done"
        if self._stopped:
            text += f", {len(self._stopped)} of them stopped early"
        if self._failed:
            text += f", {len(self._failed)} failed"
        if self._not_run:
            text += f", {sum(map(len, self._not_run.values()))} evaluations not run"
        return f"{text}, in {_duration(time.monotonic() - self._began)}"

    @property
    def _count(self) -> int:
        return max(len(self._rows), self._expected or 0)

    def _left(self) -> str:
        remaining = sum(row.remaining for row in self._rows.values())
        done = self._total - remaining
        if self._rows:  # those that are not known yet cost what the others do
            remaining += (self._count - len(self._rows)) * self._total / len(self._rows)
        if not done or self._first is None:
            return "time left: not known yet"
        return f"about {_duration((time.monotonic() - self._first) * remaining / done)} left"

    def _view(self) -> Group:
        with self._lock:
            waiting = self._count - len(self._running) - len(self._done) - len(self._failed)
            head = Text(
                f"trials: {len(self._done)} done, {len(self._running)} running, {waiting} waiting, {len(self._failed)} failed"
                f"   {self._left()}",
                style="bold",
            )
            table = Table(box=None, pad_edge=False)
            for name in ("trial", "stage", "natural", "robust"):
                table.add_column(name, justify="right" if name in {"natural", "robust"} else "left")
            running = [self._rows[key] for key in self._rows if key in self._running]
            for row in running[:SHOWN]:
                table.add_row(Text(row.label), _stage(row), _percent(row.natural), _percent(row.robust))
            more = [Text(f"... and {len(running) - SHOWN} more")] if len(running) > SHOWN else []
            left = [(key, f"{label}: {why}") for key, reasons in self._not_run.items() for label, why in reasons.items()]
            told = [*left, *((key, end.reason) for key, end in self._failed.items())][-5:]
            failures = [Text(f"{self._rows[key].label}: {why}", style="red") for key, why in told]
            return Group(head, table, *more, *failures)


def _row(trial: PlannedTrial) -> _Row:
    epochs = trial.config.training.epochs
    epoch = min(trial.recorded.epochs, epochs)
    cost = (epochs - epoch) * training_passes(trial.config)
    cost += sum(evaluation_passes(trial.config, e.attack) for e in trial.missing)
    cost += sum(measurement_passes(trial.config, m.measure) for m in trial.unmeasured)
    missing, unmeasured = len(trial.missing), len(trial.unmeasured)
    size = multiply_adds(trial.config.model, trial.config.module, trial.config.data.info)
    return _Row(trial.label, epochs, missing, unmeasured, cost * size, size, epoch, missing, unmeasured)


def _stage(row: _Row) -> str:
    if row.epoch < row.epochs:
        return f"epoch {row.epoch}/{row.epochs}"
    if row.measurements and not row.left:
        return f"measurement {row.measurements - row.unmeasured}/{row.measurements}"
    return f"evaluation {row.evaluations - row.left}/{row.evaluations}"


def _accuracies(row: _Row) -> str:
    return "" if row.natural is None else f", natural {_percent(row.natural)}, robust {_percent(row.robust)}"


def _percent(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{100 * accuracy:.2f}"


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
