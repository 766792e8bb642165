"""The work on one trial: epochs, evaluations and measurements, recorded as soon as they are done."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from torch import Tensor

from analysis.record.schema import Ending, Status
from orchestrator.cost.passes import evaluation_passes, measurement_passes, training_passes
from orchestrator.execution.checkpoints import Checkpoints, SourceMissing, source_networks
from orchestrator.execution.job import PROVENANCE, Job, evaluation_rows, write_trial
from orchestrator.execution.provenance.machine import machine_columns
from orchestrator.execution.provenance.usage import Usage
from orchestrator.planning.plan import Evaluation, Measurement, longest_first
from orchestrator.record.columns import measure_columns
from orchestrator.record.recorded import Recorded
from orchestrator.record.report import End, Report, of_its_own
from orchestrator.record.store import RecordRow, Store, WeightsNotFoundError
from trainables.checkpoint import unpack_weights
from trainables.config import attack_key, is_prefix, measure_key
from trainables.trial import Diverged, Trial, is_over

#: Evaluations and measurements of so many seconds are reported together: a report costs the driver milliseconds.
REPORT_SECONDS = 2.0


class Work:
    """The work on a job, which resumes from the trial's last state in the record, or evaluates a training that has ended."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.damaged: list[str] = []
        self.store = Store(job.storage, self.damaged.append)
        self.store.delete_temporaries(job.key)
        before = self._resume()
        # A retry gets the same job, but some of its evaluations may be recorded by now.
        recorded = self.store.recorded(job.key) or Recorded()
        done = recorded.measurements | job.given_up
        self.remaining = [e for e in job.evaluations if not e.done(recorded.evaluations) and e.key not in done]
        self.unmeasured = [m for m in job.measurements if m.key not in done]
        self.given_up = {failed.name: failed.reason for key, failed in recorded.failures.items() if key in job.given_up}
        self.not_run: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        # All evaluations of this work go to one file, which is written again for each report: none is lost, and files are few.
        self.part = uuid.uuid4().hex[:12]
        self.written = 0, 0  # how many of the rows and arrays
        self.rows: list[RecordRow] = []
        self.arrays: list[RecordRow] = []
        self.failures: list[RecordRow] = []
        # The device is the one that it was trained on, also when it is attacked on another machine later.
        self.device = before["device"] if before and self.trial.epoch else self.trial.device_name
        self.created = before["created"] if before else datetime.now(UTC)
        self._write_trial()

    def _resume(self) -> RecordRow | None:
        """Go on from what the record holds of the trial, or from its beginning where a checkpoint is lost; return its row."""
        began, key, config = time.monotonic(), self.job.key, self.job.config
        before = self.store.read_trial(key)
        self.trial = Trial(config, self.job.runtime)
        self.checkpoints = Checkpoints(self.store, key, self.job.runtime.save_seconds)
        self.between_epochs = True
        self.loaded: tuple[int, Mapping[str, Tensor]] | None = None
        if before and is_over(config.training, before["epochs"], before["best_epoch"]) and self._is_kept(before):
            self.trial.conclude(before["epochs"], before["best_epoch"])
            self.history: list[RecordRow] = before["history"] or []
        else:
            self.history = self.checkpoints.resume(self.trial)
        self.provenance = {name: before[name] for name in PROVENANCE} if before else {}
        # From its end on, what it took stands fast: evaluations, perhaps on another machine, change none of it.
        self.usage, self.training = Usage(self.trial.device, self.provenance, began), not self.trained
        return before

    def _is_kept(self, row: RecordRow) -> bool:
        """Check that a training that has ended need not, or must not, be trained again for its weights."""
        epochs = {row["epochs"], row["best_epoch"]}
        return not self.job.train or all(self.store.weights(self.job.key, epoch) is not None for epoch in epochs)

    @property
    def trained(self) -> bool:
        """Whether the training has ended."""
        return self.trial.finished

    def advance(self) -> Report:
        """Train one epoch, or run the next evaluations and measurements, and report; a trial that diverges has failed."""
        failure, self.not_run, self.seconds, passes = None, {}, 0.0, 0.0
        self.failed, self.given_up = self.given_up, {}
        try:
            passes = self._evaluate_and_measure() if self.trained or not self.job.train else self._train()
        except WeightsNotFoundError:
            if self.job.train:
                self._resume()
            else:
                self._leave_out()
        except Diverged as error:
            # With the same seed it would diverge again, so it is not raised: the driver would retry it.
            failure = End(Ending.DIVERGED, str(error))
            self._write_trial(failure)
        damaged = tuple(self.damaged)
        self.damaged.clear()
        last = self.history[-1] if self.history else {}
        return Report(
            epoch=self.trial.epoch,
            natural_accuracy=last.get("natural_accuracy"),
            robust_accuracy=last.get("robust_accuracy"),
            evaluations_left=len(self.remaining),
            measurements_left=len(self.unmeasured),
            passes=passes,
            seconds=self.seconds,
            done=failure is not None or not (self.remaining or self.unmeasured or (self.job.train and not self.trained)),
            not_run=self.not_run,
            failed=self.failed,
            damaged=damaged,
            failure=failure,
        )

    def _train(self) -> float:
        """Train and record one epoch; return its passes."""
        began = time.monotonic()
        self.between_epochs = False
        with self.usage.sampling():
            metrics = self.trial.step()
        self.seconds, self.device = time.monotonic() - began, self.trial.device_name
        self.history.append({"finished": _milliseconds(), **metrics})
        self.between_epochs = True
        self._write_prefixes()
        self.checkpoints.after_epoch(self.trial, self.history)
        self._write_trial()
        if self.trained:
            self.training = False
            self.store.delete_state(self.job.key)
        return training_passes(self.job.config)

    def _write_prefixes(self) -> None:
        """Record the prefixes that end with this epoch, as if each had been trained alone."""
        for key, config in self.job.prefixes.items():
            if config.training.epochs == self.trial.epoch:
                self.checkpoints.write_weights(key, self.trial)
                write_trial(self.store, replace(self.job, key=key, config=config), self._progress(), Status.FINISHED)

    def close(self) -> None:
        """Write the state of a training that is left between two epochs, and end.

        One that raised an error within an epoch resumes from the state before.
        """
        if self.between_epochs:
            self.checkpoints.save(self.trial, self.history)
        self.checkpoints.close()

    def _evaluate_and_measure(self) -> float:
        """Run evaluations, then measurements, for REPORT_SECONDS, and record them; return their passes."""
        passes, started = 0.0, time.monotonic()
        try:
            while (self.remaining or self.unmeasured) and time.monotonic() - started < REPORT_SECONDS:
                passes += self._evaluate() if self.remaining else self._measure()
        finally:
            self._write_results()
        return passes

    def _write_results(self) -> None:
        """Write the evaluations and measurements of this work, where some are new."""
        (rows, arrays), self.written = self.written, (len(self.rows), len(self.arrays))
        if len(self.rows) > rows:
            self.store.write_evaluations(self.job.key, self.part, self.rows)
        if len(self.arrays) > arrays:
            self.store.write_measures(self.job.key, self.part, self.arrays)

    def _weights(self, epoch: int) -> Mapping[str, Tensor]:
        """Return the weights after an epoch; those of the epoch before are forgotten."""
        if self.loaded is None or self.loaded[0] != epoch:
            self.loaded = epoch, unpack_weights(self.store.read_weights(self.job.key, epoch))
        return self.loaded[1]

    def _evaluate(self) -> float:
        """Run the next attack, and record every evaluation that its result covers; return their passes."""
        epoch = self._epoch(self.remaining[0])
        same_epoch = [e for e in self.remaining if self._epoch(e) == epoch]
        attack = longest_first(same_epoch)
        # If the best checkpoint is the last one, a single run covers both.
        covered = [e for e in same_epoch if e.attack == attack]
        try:
            sources = source_networks(attack, self.store, self.job.config.data.dataset, self.trial.device)
        except SourceMissing as error:
            # A retry would not help, and the trial is fine: the evaluation stays missing, and the next run tries it again.
            self.not_run |= {evaluation.name: str(error) for evaluation in covered}
            self.remaining = [e for e in self.remaining if e not in covered]
            return 0.0
        weights = self._weights(epoch)
        began = time.monotonic()
        complete = any(e.complete for e in covered)
        try:
            found = self.trial.evaluate(attack, weights, sources, complete)
        except Exception as error:
            return self._fail(error, attack_key(attack), covered)
        seconds = time.monotonic() - began
        self.seconds += seconds
        if found.broken is not None:
            shorter = [e for e in same_epoch if e.complete == complete and is_prefix(e.attack, attack)]
            # A complete run ranks the images that its restarts end at, which are not those that fewer restarts would return.
            covered += [e for e in shorter if found.last is None or getattr(e.attack, "restarts", 1) == 1]
        asked = [e for e in self.job.evaluations if self._epoch(e) == epoch]
        run = {"trial": self.job.key, "epoch": epoch, "complete": complete, "seconds": seconds, "finished": _milliseconds()}
        for evaluation in covered:
            steps = evaluation.attack.gradient_steps
            part = found if evaluation.attack == attack or steps is None else found.after(steps)
            labels, classes = self.trial.test_labels(evaluation.attack), self.job.config.data.info.classes
            self.rows += evaluation_rows(evaluation, part, asked, labels, classes, run)
        self.remaining = [e for e in self.remaining if e not in covered]
        return sum(evaluation_passes(self.job.config, e.attack) for e in covered)

    def _leave_out(self) -> None:
        """Leave out all that is left, for its weights are lost and this job trains nothing."""
        lost = "its weights are lost; `advsweep run` with --verify trains it again"
        left: list[Evaluation | Measurement] = [*self.remaining, *self.unmeasured]
        self.not_run |= {each.name: lost for each in left}
        self.remaining, self.unmeasured = [], []

    def _measure(self) -> float:
        """Run the next measure, and record every measurement that its result covers; return their passes."""
        measure, epoch = self.unmeasured[0].measure, self._epoch(self.unmeasured[0])
        covered = [m for m in self.unmeasured if m.measure == measure and self._epoch(m) == epoch]
        weights = self._weights(epoch)
        began = time.monotonic()
        try:
            found = self.trial.measure(measure, weights)
        except Exception as error:
            return self._fail(error, measure_key(measure), covered)
        seconds = time.monotonic() - began
        self.seconds += seconds
        self.arrays += [
            {
                "measurement": measurement.key,
                "trial": self.job.key,
                "checkpoint": measurement.checkpoint,
                "epoch": epoch,
                **measure_columns(measure),
                "array": name,
                "values": values,
                "seconds": seconds,
                "finished": _milliseconds(),
            }
            for measurement in covered
            for name, values in found.items()
        ]
        self.unmeasured = [m for m in self.unmeasured if m not in covered]
        return len(covered) * measurement_passes(self.job.config, measure)

    def _fail(self, error: Exception, of: str, failed: Sequence[Evaluation | Measurement]) -> float:
        """Record that evaluations or measurements failed, by the key of their attack or measure; all others go on.

        An error that another try may not have is raised again: then the driver retries the trial, and gives them up at last.
        """
        if isinstance(error, OSError):
            raise error
        reason, now = End.of(error).reason, _milliseconds()
        row = {"trial": self.job.key, "attack": of, "reason": reason, "finished": now}
        self.failures += [{**row, "evaluation": e.key, "checkpoint": e.checkpoint, "label": e.label} for e in failed]
        self.store.write_failures(self.job.key, self.part, self.failures)
        if not of_its_own(error):
            raise error
        self.failed |= {each.name: reason for each in failed}
        self.remaining = [e for e in self.remaining if e not in failed]
        self.unmeasured = [m for m in self.unmeasured if m not in failed]
        return 0.0

    def _epoch(self, of: Evaluation | Measurement) -> int:
        """Return the epoch of the checkpoint that is evaluated or measured."""
        return self.trial.best_epoch if of.checkpoint == "best" else self.trial.epoch

    def _write_trial(self, failure: End | None = None) -> None:
        """Write the trial's row as it is now."""
        status = Status.FAILED if failure else Status.FINISHED if self.trained else Status.UNFINISHED
        write_trial(self.store, self.job, self._progress(), status, failure)

    def _progress(self) -> RecordRow:
        """Return the columns of the trial's row that change while it trains."""
        if self.training:
            of_machine = machine_columns(self.job.storage, self.trial.device)
            data = {"data": self.trial.data_checksum}
            self.provenance = {**self.usage.columns(), **self.job.origin._asdict(), **of_machine, **data}
        return {
            "created": self.created,
            "epochs": self.trial.epoch,
            "best_epoch": self.trial.best_epoch,
            "device": self.device,
            "seconds": sum(row["seconds"] for row in self.history),
            "history": self.history,
            **self.provenance,
        }


def _milliseconds() -> int:
    return int(time.time() * 1000)
