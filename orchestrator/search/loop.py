"""A search: Optuna samples configurations; those that the record holds are reported back, every other one is a trial to run.

Nothing is trained twice: where the same parameters are sampled again, the same result is reported again.
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

from analysis.record.schema import Ending, Status
from orchestrator.errors import BadInput
from orchestrator.planning.plan import Evaluation, PlannedTrial
from orchestrator.planning.reading import Reader
from orchestrator.record.recorded import Recorded
from orchestrator.record.report import Report
from orchestrator.record.store import Store
from orchestrator.search.goals import Goal
from orchestrator.search.space import Parameters, SearchSpace
from orchestrator.search.suggestion import suggest_from
from orchestrator.tracking.optuna_study import REASON, TRIAL_KEY
from search_spaces.settings import SourceSettings
from trainables.config import TrialConfig, trial_key

#: User attributes of Optuna's trials besides their key and the reason why they have no value: the parameters' label, the number
#: of the trial that they repeat, and whether the record held them before the search.
LABEL, REPEATS, KNOWN = "cell", "repeats", "known"

#: After so many samples in a row that bring nothing to run, the next parameters are random new ones.
MAX_REPEATS = 4


class Search:
    """Samples one configuration after another, and reports to Optuna what became of it.

    Args:
        study: Optuna's study with its sampler and pruner, to maximise each objective; it may hold an earlier process's results.
        space: the space to sample from.
        goals: accuracies; those without a bound are the study's objectives, in the same order.
        checkpoint: the checkpoint whose accuracies count, ``best`` or ``last``.
        store: the record.
        trials: how many configurations to try in all, without those that the record held before the search.
        seed: seed of the generator that replaces a sampler which repeats itself.
        retry_failed: whether trials that failed before are run again.

    Attributes:
        sampled: the trials that this process has sampled, by their keys.
    """

    def __init__(
        self,
        study: OptunaStudy,
        space: SearchSpace,
        goals: Sequence[Goal],
        checkpoint: Literal["best", "last"],
        store: Store,
        trials: int,
        seed: int = 0,
        retry_failed: bool = False,
    ) -> None:
        self.study, self.space, self.goals, self.checkpoint, self.store = study, space, tuple(goals), checkpoint, store
        self.trials, self._retry_failed = trials, retry_failed
        self.sampled: dict[str, PlannedTrial] = {}
        self._running: dict[str, optuna.Trial] = {}
        self._reported: dict[str, FrozenTrial] = {}
        self._seen: set[str] = set()
        self._generator = Random(seed)
        self._resume()
        self._report_known()

    @property
    def objectives(self) -> tuple[Goal, ...]:
        """The goals to maximise."""
        return tuple(goal for goal in self.goals if goal.bound is None)

    @property
    def tried(self) -> int:
        """How many configurations count as tried: running and ended ones, without those that the record held before."""
        return sum(not trial.user_attrs.get(KNOWN) for trial in (*self._running.values(), *self._reported.values()))

    @property
    def exhausted(self) -> bool:
        """Whether all parameters of the space have been sampled."""
        combinations = self.space.combinations
        return combinations is not None and len(self._seen) >= len(combinations)

    # --- at the start: an earlier process, and the record -------------------------------------------------------------

    def _resume(self) -> None:
        """Continue from an earlier process: results stay, and trials that were running or are to be retried come first."""
        failed: set[str] = set()
        if self._retry_failed:
            failed = {key for key, r in self.store.index().items() if r.status == Status.FAILED or r.failures}
        for trial in self.study.get_trials(deepcopy=False):
            key = trial.user_attrs.get(TRIAL_KEY)
            if key in failed and trial.state.is_finished():
                failed.discard(key)
                self.study.enqueue_trial(trial.params, _known(trial.user_attrs))
            elif trial.state == TrialState.RUNNING:
                self.study.tell(trial.number, state=TrialState.FAIL)
                self.study.enqueue_trial(trial.params, _known(trial.user_attrs))
            elif trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and REPEATS not in trial.user_attrs:
                self._reported[trial.user_attrs[TRIAL_KEY]] = trial
                self._seen.add(_text(trial.params))

    def _report_known(self) -> None:
        """Report to Optuna every finished trial of the space that the record holds."""
        for key, recorded in self.store.index().items():
            if key in self._reported or recorded.status != Status.FINISHED:
                continue
            row = self.store.read_trial(key)
            config = _read(row["config"]) if row else None
            parameters = self.space.locate(config) if config else None
            if config is None or parameters is None or trial_key(config) != key:
                continue
            planned = replace(self._planned(key, config, parameters), recorded=self._wanted(recorded))
            if planned.failed:
                continue
            if not planned.known:
                # Trained, but not yet attacked on the validation images: cheap to complete.
                self.study.enqueue_trial(dict(parameters), _known({KNOWN: True}), skip_if_exists=True)
                continue
            found = self._values(planned)
            self.study.add_trial(
                create_trial(
                    values=[found[goal.label] for goal in self.objectives],
                    params=dict(parameters),
                    distributions=self.space.distributions(parameters),
                    user_attrs={TRIAL_KEY: key, LABEL: self.space.label(parameters), KNOWN: True},
                    constraints={goal.label: goal.bound - found[goal.label] for goal in self.goals if goal.bound is not None},
                )
            )
            self._reported[key] = self.study.get_trials(deepcopy=False)[-1]
            self._seen.add(_text(parameters))

    # --- one trial after another --------------------------------------------------------------------------------------

    def next(self) -> PlannedTrial | None:
        """Sample the next trial to run; None when enough were tried, or when no parameters are left."""
        repeats = 0
        while self.tried < self.trials and not self.exhausted:
            if repeats >= MAX_REPEATS:
                self.study.enqueue_trial(dict(self._random()))
            trial = self.study.ask()
            parameters = self.space.sample(suggest_from(trial))
            self._seen.add(_text(parameters))
            trial.set_user_attr(LABEL, self.space.label(parameters))
            try:
                config = self.space.config(parameters)
            except BadInput as error:
                trial.set_user_attr(REASON, str(error))
                self.study.tell(trial, state=TrialState.FAIL)
                repeats += 1
                continue
            key = trial_key(config)
            if key in self._running or key in self._reported:
                self._repeat(trial, key)
                repeats += 1
                continue
            repeats = 0
            trial.set_user_attr(TRIAL_KEY, key)
            recorded = self._wanted(self.store.recorded(key) or Recorded())
            planned = replace(self._planned(key, config, parameters), recorded=recorded)
            self.sampled[key], self._running[key] = planned, trial
            for row in self.store.read_epochs(key):
                self._report(trial, row["epoch"], row["natural_accuracy"], row["robust_accuracy"])
            if self._to_run(planned):
                return planned
            self.ended(key)
        return None

    def _to_run(self, planned: PlannedTrial) -> bool:
        """Check whether a trial has something left to train or to evaluate."""
        if planned.recorded.status == Status.FAILED:
            return self._retry_failed
        return not (planned.trained and planned.known)

    def _wanted(self, recorded: Recorded) -> Recorded:
        """Forget which evaluations failed where failures are to be retried."""
        return replace(recorded, failures={}) if self._retry_failed else recorded

    def _random(self) -> Parameters:
        """Return random parameters that were not sampled before."""
        if (combinations := self.space.combinations) is not None:
            left = [parameters for parameters in combinations if _text(parameters) not in self._seen]
            return self._generator.choice(left)
        sampler, probe = RandomSampler(self._generator.randrange(2**32)), create_trial(state=TrialState.RUNNING)
        return self.space.sample(lambda name, of: sampler.sample_independent(self.study, probe, name, of))

    def _repeat(self, trial: optuna.Trial, key: str) -> None:
        """Report the result of the same trial again; a failure while there is none."""
        first = self._reported.get(key)
        trial.set_user_attr(TRIAL_KEY, key)
        trial.set_user_attr(REPEATS, first.number if first else self._running[key].number)
        if first is None or first.state != TrialState.COMPLETE:
            self.study.tell(trial, state=TrialState.FAIL)
            return
        for name, value in first.constraints.items():
            trial.set_constraint(name, value)
        self.study.tell(trial, first.values)

    def advanced(self, key: str, report: Report) -> str | None:
        """Report a finished epoch to Optuna; return why the trial is to be stopped early, or None."""
        trial, planned = self._running[key], self.sampled[key]
        epochs = planned.config.training.epochs
        if report.failure or report.epoch >= epochs:
            return None
        self._report(trial, report.epoch, report.natural_accuracy, report.robust_accuracy)
        if len(self.objectives) > 1 or not trial.should_prune():
            return None
        return f"stopped early after epoch {report.epoch} of {epochs} by {type(self.study.pruner).__name__}"

    def _report(self, trial: optuna.Trial, epoch: int, natural: float | None, robust: float | None) -> None:
        """Report the validation accuracy after an epoch, by which a pruner judges a trial before its objective is known."""
        accuracy = robust if self.objectives[0].column.adversarial else natural
        if len(self.objectives) == 1 and accuracy is not None:
            trial.report(100 * accuracy, epoch)

    def ended(self, key: str) -> None:
        """Report the result of a trial that has ended, from the record: its values, or that it has none."""
        trial = self._running.pop(key)
        planned = replace(self.sampled[key], recorded=self.store.recorded(key) or Recorded())
        if planned.trained and planned.known and not planned.failed:
            found = self._values(planned)
            for goal in self.goals:
                if goal.bound is not None:
                    trial.set_constraint(goal.label, goal.bound - found[goal.label])
            self._reported[key] = self.study.tell(trial, [found[goal.label] for goal in self.objectives])
            return
        failed = [f"{name} failed: {why}" for name, why in planned.failed.items()]
        trial.set_user_attr(REASON, planned.recorded.reason or next(iter(failed), "not evaluated"))
        badly = did_badly(planned.recorded.ending)
        self._reported[key] = self.study.tell(trial, state=TrialState.PRUNED if badly else TrialState.FAIL)

    # --- evaluations and values ---------------------------------------------------------------------------------------

    def _planned(self, key: str, config: TrialConfig, parameters: Parameters) -> PlannedTrial:
        """Plan a trial with the evaluations that the goals are read from."""
        wanted = {e.key: e for evaluations in self._evaluations(key, config).values() for e in evaluations}
        arms = {self.study.study_name: self.space.label(parameters)}
        return PlannedTrial(key, config, arms, tuple(wanted.values()), (), Recorded())

    def _evaluations(self, key: str, config: TrialConfig) -> dict[str, list[Evaluation]]:
        """Return the evaluations that each goal is read from, by its label: its attack with every beta_atk of the profile."""
        readings = Reader(config, self.space.profile, _no_source).readings([goal.column for goal in self.goals])
        return {
            column.label: [
                Evaluation.of(key, attack.model_copy(update={"split": "validation"}), self.checkpoint, column.label)
                for attack in reading.attacks.values()
            ]
            for column, reading in readings
        }

    def _values(self, planned: PlannedTrial) -> dict[str, float]:
        """Read the goals' accuracies from the record, in percent: of each the lowest over its evaluations."""
        rows = self.store.read_evaluations(planned.key)
        accuracies = {row["evaluation"]: 100 * row["accuracy"] for row in rows if row["head"] == "final"}

        def accuracy(e: Evaluation) -> float:
            return float(accuracies[e.key] if e.key in accuracies else accuracies[e.instead or ""])

        return {label: min(map(accuracy, wanted)) for label, wanted in self._evaluations(planned.key, planned.config).items()}


def did_badly(ending: Ending | None) -> bool:
    """Check whether a trial ended because its parameters are bad (diverged, early-stopped), and not for lack of memory, say."""
    return ending in {Ending.DIVERGED, Ending.EARLY_STOPPED}


def _text(parameters: Mapping[str, Any]) -> str:
    """Write parameters as text that does not depend on their order."""
    return json.dumps(dict(parameters), sort_keys=True)


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attribute that marks a trial as known to the record, if it is among these."""
    return {KNOWN: True} if attributes.get(KNOWN) else {}


def _read(config: str) -> TrialConfig | None:
    """Parse a configuration; None if another version wrote it, so that it is not valid here."""
    try:
        return TrialConfig.model_validate_json(config)
    except ValidationError:
        return None


def _no_source(source: SourceSettings) -> str:
    raise BadInput("--objective: transferred attacks are not allowed in a search")
