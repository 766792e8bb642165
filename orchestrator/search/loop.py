"""A search: Optuna asks for configurations, the record answers for those it knows, and every other one is a trial to run.

Nothing is trained twice: a cell that is drawn again is told what is known of it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Literal

import optuna
from optuna.samplers import RandomSampler
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import ValidationError

from analysis.schema import Ending, Status
from orchestrator.errors import BadInput
from orchestrator.planning.plan import Evaluation, PlannedTrial
from orchestrator.planning.reading import Reader
from orchestrator.record.recorded import Recorded
from orchestrator.record.report import Report
from orchestrator.record.store import Store
from orchestrator.search.goals import Goal
from orchestrator.search.space import Cells, Drawn
from orchestrator.search.suggestion import Suggesting
from search_spaces.settings import SourceNetwork
from trainables.config import TrialConfig, trial_key

#: What Optuna's trials carry: the trial's key, the cell's label, why there is no value, which trial's repetition it is, and
#: whether the record knew it before the search.
TRIAL, LABEL, REASON, REPEATS, KNOWN = "trial", "cell", "reason", "repeats", "known"

#: Where a sampler draws what is known so often in a row, the next cell is a new one by chance.
PATIENCE = 4


class Search:
    """Cells one after another, and what Optuna is told of them.

    Args:
        study: Optuna's, with its sampler and pruner, to maximise each objective; it may hold what an earlier process told it.
        cells: what is drawn from.
        goals: accuracies, of which those without a bound are the study's objectives, in their order.
        checkpoint: whose accuracies, ``best`` or ``last``.
        store: the record.
        trials: how many cells are looked at in all; what the record knew before the search does not count.
        seed: of the chance that helps a sampler out.
        retry_failed: whether trainings that failed before are taken up again.

    Attributes:
        drawn: the trials that a process with this search has drawn, with their cells, by their keys.
    """

    def __init__(
        self,
        study: OptunaStudy,
        cells: Cells,
        goals: Sequence[Goal],
        checkpoint: Literal["best", "last"],
        store: Store,
        trials: int,
        seed: int = 0,
        retry_failed: bool = False,
    ) -> None:
        self.study, self.cells, self.goals, self.checkpoint, self.store = study, cells, tuple(goals), checkpoint, store
        self.trials, self._retry_failed = trials, retry_failed
        self.drawn: dict[str, PlannedTrial] = {}
        self._running: dict[str, optuna.Trial] = {}
        self._told: dict[str, FrozenTrial] = {}
        self._seen: set[str] = set()
        self._chance = Random(seed)
        self._take_up()
        self._tell_known()

    @property
    def objectives(self) -> tuple[Goal, ...]:
        return tuple(goal for goal in self.goals if goal.bound is None)

    @property
    def looked_at(self) -> int:
        """Cells that count: those that run, and those that were drawn, whatever became of them."""
        return sum(not trial.user_attrs.get(KNOWN) for trial in (*self._running.values(), *self._told.values()))

    @property
    def exhausted(self) -> bool:
        """Whether every cell of the space was drawn."""
        every = self.cells.every
        return every is not None and len(self._seen) >= len(every)

    # --- what is known at the start -----------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Go on from an earlier process: what it was told stays, and what it did not hear the end of comes first.

        So does what failed, where it is to be taken up again.
        """
        failed: set[str] = set()
        if self._retry_failed:
            failed = {
                key for key, recorded in self.store.index(self.store.trials()).items() if recorded.status == Status.FAILED
            }
        for trial in self.study.get_trials(deepcopy=False):
            key = trial.user_attrs.get(TRIAL)
            if key in failed and trial.state.is_finished():
                failed.discard(key)
                self.study.enqueue_trial(trial.params, _known(trial.user_attrs))
            elif trial.state == TrialState.RUNNING:
                self.study.tell(trial.number, state=TrialState.FAIL)
                self.study.enqueue_trial(trial.params, _known(trial.user_attrs))
            elif trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and REPEATS not in trial.user_attrs:
                self._told[trial.user_attrs[TRIAL]] = trial
                self._seen.add(_text(trial.params))

    def _tell_known(self) -> None:
        """Tell what the record knows of the space: the sampler need not draw it to hear of it."""
        for key, recorded in self.store.index(self.store.trials()).items():
            if key in self._told or recorded.status != Status.FINISHED:
                continue
            row = self.store.read_trial(key)
            config = _read(row["config"]) if row else None
            cell = self.cells.locate(config) if config else None
            if config is None or cell is None or trial_key(config) != key:
                continue
            planned = replace(self._planned(key, config, cell), recorded=recorded)
            if not planned.known:
                # Trained, but not yet attacked on the validation images: that is soon done.
                self.study.enqueue_trial(dict(cell), _known({KNOWN: True}), skip_if_exists=True)
                continue
            found = self._values(planned)
            self.study.add_trial(
                create_trial(
                    values=[found[goal.label] for goal in self.objectives],
                    params=dict(cell),
                    distributions=self.cells.distributions(cell),
                    user_attrs={TRIAL: key, LABEL: self.cells.label(cell), KNOWN: True},
                    constraints={goal.label: goal.bound - found[goal.label] for goal in self.goals if goal.bound is not None},
                )
            )
            self._told[key] = self.study.get_trials(deepcopy=False)[-1]
            self._seen.add(_text(cell))

    # --- one cell after another ---------------------------------------------------------------------------------------

    def next(self) -> PlannedTrial | None:
        """The next trial to run; None when there are enough, or when no cell is left."""
        repeats = 0
        while self.looked_at < self.trials and not self.exhausted:
            if repeats >= PATIENCE:
                self.study.enqueue_trial(dict(self._new()))
            trial = self.study.ask()
            cell = self.cells.draw(Suggesting(trial))
            self._seen.add(_text(cell))
            trial.set_user_attr(LABEL, self.cells.label(cell))
            try:
                config = self.cells.config(cell)
            except BadInput as error:
                trial.set_user_attr(REASON, str(error))
                self.study.tell(trial, state=TrialState.FAIL)
                repeats += 1
                continue
            key = trial_key(config)
            if key in self._running or key in self._told:
                self._repeat(trial, key)
                repeats += 1
                continue
            repeats = 0
            trial.set_user_attr(TRIAL, key)
            planned = replace(self._planned(key, config, cell), recorded=self.store.recorded(key) or Recorded())
            self.drawn[key], self._running[key] = planned, trial
            for row in self.store.read_epochs(key):
                self._report(trial, row["epoch"], row["natural_accuracy"], row["robust_accuracy"])
            if self._to_run(planned):
                return planned
            self.ended(key)
        return None

    def _to_run(self, planned: PlannedTrial) -> bool:
        if planned.recorded.status == Status.FAILED:
            return self._retry_failed
        return not (planned.trained and planned.known)

    def _new(self) -> Drawn:
        """A cell that was never drawn, by chance."""
        if (every := self.cells.every) is not None:
            left = [cell for cell in every if _text(cell) not in self._seen]
            return self._chance.choice(left)
        sampler, probe = RandomSampler(self._chance.randrange(2**32)), create_trial(state=TrialState.RUNNING)
        return self.cells.draw(lambda name, of: sampler.sample_independent(self.study, probe, name, of))

    def _repeat(self, trial: optuna.Trial, key: str) -> None:
        """A cell that is known, or running: the sampler is told again what it was told, and nothing is run."""
        there = self._told.get(key)
        trial.set_user_attr(TRIAL, key)
        trial.set_user_attr(REPEATS, there.number if there else self._running[key].number)
        if there is None or there.state != TrialState.COMPLETE:
            self.study.tell(trial, state=TrialState.FAIL)
            return
        for name, value in there.constraints.items():
            trial.set_constraint(name, value)
        self.study.tell(trial, there.values)

    def advanced(self, key: str, report: Report) -> str | None:
        """Tell how far a trial got; why it is to end early, if it is."""
        trial, planned = self._running[key], self.drawn[key]
        epochs = planned.config.training.epochs
        if report.failure or report.epoch >= epochs:
            return None
        self._report(trial, report.epoch, report.natural_accuracy, report.robust_accuracy)
        if len(self.objectives) > 1 or not trial.should_prune():
            return None
        return f"stopped early after epoch {report.epoch} of {epochs} by {type(self.study.pruner).__name__}"

    def _report(self, trial: optuna.Trial, epoch: int, natural: float | None, robust: float | None) -> None:
        """The accuracy on the validation images behind an epoch, which stands for the objective until that is known."""
        accuracy = robust if self.objectives[0].column.adversarial else natural
        if len(self.objectives) == 1 and accuracy is not None:
            trial.report(100 * accuracy, epoch)

    def ended(self, key: str) -> None:
        """Tell what became of a trial, by its record."""
        trial = self._running.pop(key)
        planned = replace(self.drawn[key], recorded=self.store.recorded(key) or Recorded())
        if planned.trained and planned.known:
            found = self._values(planned)
            for goal in self.goals:
                if goal.bound is not None:
                    trial.set_constraint(goal.label, goal.bound - found[goal.label])
            self._told[key] = self.study.tell(trial, [found[goal.label] for goal in self.objectives])
            return
        trial.set_user_attr(REASON, planned.recorded.reason or "not evaluated")
        badly = did_badly(planned.recorded.ending)
        self._told[key] = self.study.tell(trial, state=TrialState.PRUNED if badly else TrialState.FAIL)

    # --- what a trial is asked ----------------------------------------------------------------------------------------

    def _planned(self, key: str, config: TrialConfig, cell: Drawn) -> PlannedTrial:
        """A cell as a trial, with the evaluations that the goals are read from."""
        wanted = {e.key: e for evaluations in self._asked(key, config).values() for e in evaluations}
        arms = {self.study.study_name: self.cells.label(cell)}
        return PlannedTrial(key, config, arms, tuple(wanted.values()), (), Recorded())

    def _asked(self, key: str, config: TrialConfig) -> dict[str, list[Evaluation]]:
        """What each goal is read from, by its label: its attack in every way that the profile tries."""
        readings = Reader(config, self.cells.profile, _no_source).readings([goal.column for goal in self.goals])
        return {
            column.label: [
                Evaluation.of(key, attack.model_copy(update={"split": "validation"}), self.checkpoint, column.label)
                for attack in reading.attacks.values()
            ]
            for column, reading in readings
        }

    def _values(self, planned: PlannedTrial) -> dict[str, float]:
        """The goals' accuracies, in percent: each the lowest over its attacks."""
        rows = self.store.read_evaluations(planned.key)
        there = {row["evaluation"]: 100 * row["accuracy"] for row in rows if row["head"] == "final"}

        def accuracy(e: Evaluation) -> float:
            return float(there[e.key] if e.key in there else there[e.instead or ""])

        return {label: min(map(accuracy, asked)) for label, asked in self._asked(planned.key, planned.config).items()}


def did_badly(ending: Ending | None) -> bool:
    """Whether a trial has no value because it diverged or was stopped; what ran out of memory did nothing of the kind."""
    return ending in {Ending.DIVERGED, Ending.EARLY_STOPPED}


def _text(cell: Mapping[str, Any]) -> str:
    """Whatever its order."""
    return json.dumps(dict(cell), sort_keys=True)


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {KNOWN: True} if attributes.get(KNOWN) else {}


def _read(config: str) -> TrialConfig | None:
    """None where another version wrote it."""
    try:
        return TrialConfig.model_validate_json(config)
    except ValidationError:
        return None


def _no_source(source: SourceNetwork) -> str:
    raise BadInput("--objective: an attack that is transferred has no place in a search")
