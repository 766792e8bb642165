"""The plan as a value: trials, their evaluations and measurements, what the record holds, and what has to run. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from analysis.record.manifest import Manifest
from analysis.record.schema import Status
from orchestrator.errors import BadInput
from orchestrator.record.recorded import Recorded
from trainables.config import Attack, Measure, Transfer, TrialConfig, attack_key, evaluation_key, is_prefix
from trainables.config.terms.registry import Entry, used_plugins

CHECKPOINTS = ("last", "best")


@dataclass(frozen=True)
class Evaluation:
    """One attack on one checkpoint of a trial.

    ``label``: the first column that needs it. ``complete``: whether every example is attacked to the end, for columns that show
    more than final accuracy. ``trial``, ``its_key``: the keys of the trial and of the attack.
    """

    key: str
    checkpoint: str
    attack: Attack
    label: str
    complete: bool
    trial: str
    its_key: str

    @classmethod
    def of(
        cls, trial: str, attack: Attack, checkpoint: str, label: str, complete: bool = False, its_key: str | None = None
    ) -> Self:
        """Make the evaluation of a trial, which is given by its key; ``its_key``: the attack's, where it is known already."""
        its_key = its_key or attack_key(attack)
        return cls(evaluation_key(trial, checkpoint, its_key, complete), checkpoint, attack, label, complete, trial, its_key)

    @property
    def instead(self) -> str | None:
        """For an incomplete evaluation, the key of the complete one, which serves as well."""
        return None if self.complete else evaluation_key(self.trial, self.checkpoint, self.its_key, True)

    @property
    def name(self) -> str:
        """A readable name: its label and checkpoint."""
        return f"{self.label} ({self.checkpoint})"

    def done(self, recorded: frozenset[str]) -> bool:
        """Whether the recorded keys contain this evaluation or the complete one."""
        return self.key in recorded or self.instead in recorded


@dataclass(frozen=True)
class Measurement:
    """One measure of one checkpoint of a trial."""

    key: str
    checkpoint: str
    measure: Measure

    @property
    def label(self) -> str:
        """The measure's name."""
        return str(self.measure.name)

    @property
    def name(self) -> str:
        """A readable name: its label and checkpoint."""
        return f"{self.label} ({self.checkpoint})"


def longest_first(evaluations: Sequence[Evaluation]) -> Attack:
    """Return the attack of the first evaluation, or the longest attack of all that begins with it."""
    first = evaluations[0]
    longer = [e.attack for e in evaluations if e.complete == first.complete and is_prefix(first.attack, e.attack)]
    return max(longer, key=lambda attack: attack.gradient_steps or 0, default=first.attack)


@dataclass(frozen=True)
class PlannedTrial:
    """A trial, the evaluations and measurements that studies need of it, and what the record holds of it."""

    key: str
    config: TrialConfig
    arms: Mapping[str, str]  # by study: the arm's label
    evaluations: tuple[Evaluation, ...]
    measurements: tuple[Measurement, ...]
    recorded: Recorded
    family: str | None = None  # trainings of one family are prefixes of each other
    older: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # keys under older numerics, and what was older

    @property
    def label(self) -> str:
        """A readable name: the arm in the first study that needs it, and the seed."""
        return f"{next(iter(self.arms.values()))} seed {self.config.seed}"

    @property
    def trained(self) -> bool:
        # Early stopping by patience finishes a training before its last epoch.
        return self.recorded.status == Status.FINISHED or self.recorded.epochs >= self.config.training.epochs

    @cached_property
    def missing(self) -> tuple[Evaluation, ...]:
        """Evaluations that are neither done nor have failed."""
        return tuple(e for e in self._lacking if e.key not in self.recorded.failures)

    @cached_property
    def _lacking(self) -> tuple[Evaluation, ...]:
        return tuple(e for e in self.evaluations if not e.done(self.recorded.evaluations))

    @cached_property
    def unmeasured(self) -> tuple[Measurement, ...]:
        """Measurements that are neither made nor have failed."""
        ended = self.recorded.measurements | self.recorded.failures.keys()
        return tuple(m for m in self.measurements if m.key not in ended)

    @property
    def failed(self) -> dict[str, str]:
        """Why evaluations and measurements of this plan failed, by their names."""
        failures, asked = self.recorded.failures, [e.key for e in self._lacking] + [m.key for m in self.measurements]
        return {failures[key].name: failures[key].reason for key in asked if key in failures}

    @property
    def plugins(self) -> frozenset[Entry]:
        """The plugins that the configuration, and what is left to evaluate and measure, use."""
        return used_plugins((self.config, *(e.attack for e in self.missing), *(m.measure for m in self.unmeasured)))

    @property
    def known(self) -> bool:
        """Whether nothing is left to evaluate or measure."""
        return not self.missing and not self.unmeasured


@dataclass(frozen=True)
class Plan:
    """What studies need, what the record holds of it, and what has to run.

    ``manifests``: one for each study. ``trials``: each once, in running order. ``requested``, ``evaluations_requested``:
    numbers of trials and evaluations before sharing. ``retry_failed``: whether failed trials and evaluations are run again.
    ``train``: whether trials are trained; otherwise only trained ones are attacked. ``outdated``: how many untrained trials are
    recorded under an older numerics, by the name of what has changed.
    """

    manifests: tuple[Manifest, ...]
    trials: tuple[PlannedTrial, ...]
    requested: int
    retry_failed: bool = False
    train: bool = True
    evaluations_requested: int = 0
    outdated: Mapping[str, int] = field(default_factory=dict)

    def against(self, recorded: Mapping[str, Recorded]) -> "Plan":
        """Mark what the record holds of the plan's trials, which are given by key."""
        found = (recorded.get(t.key, Recorded()) for t in self.trials)
        marked = (replace(r, failures={}) if self.retry_failed else r for r in found)
        trials = tuple(replace(t, recorded=r) for t, r in zip(self.trials, marked, strict=True))
        outdated: Counter[str] = Counter()
        for trial in (trial for trial in trials if not trial.trained):
            older = (parts for key, parts in trial.older.items() if key in recorded and recorded[key].status == Status.FINISHED)
            outdated.update(next(older, ()))
        return replace(self, trials=trials, outdated=dict(outdated))

    @property
    def keys(self) -> Iterator[str]:
        """Keys of the trials, those under older numerics included: what :meth:`against` needs from the record."""
        for trial in self.trials:
            yield from (trial.key, *trial.older)

    @cached_property
    def to_run(self) -> tuple[PlannedTrial, ...]:
        """Trials that have something left to run; failed ones only with ``retry_failed``."""
        return tuple(
            t
            for t in self.trials
            if (self.retry_failed or t.recorded.status != Status.FAILED)
            and not (t.known and t.recorded.status == Status.FINISHED)
            and (self.train or t.trained)
        )

    @property
    def prefixes(self) -> Mapping[str, tuple[PlannedTrial, ...]]:
        """Trials that are prefixes of a longer one and so trained on its way, by the key of the longest."""
        families: dict[str, list[PlannedTrial]] = {}
        for trial in self.to_run:
            if trial.family is not None and not trial.trained:
                families.setdefault(trial.family, []).append(trial)
        found = {}
        for trials in families.values():
            longest = max(trials, key=lambda t: t.config.training.epochs)
            ahead = range(longest.recorded.epochs + 1, longest.config.training.epochs)
            if on_the_way := tuple(t for t in trials if t.config.training.epochs in ahead):
                found[longest.key] = on_the_way
        return found

    @property
    def untrained(self) -> tuple[PlannedTrial, ...]:
        """Untrained trials, which a plan that trains nothing leaves out."""
        return () if self.train else tuple(t for t in self.trials if not t.trained)

    @property
    def failed(self) -> tuple[PlannedTrial, ...]:
        """Failed trials that are not run again, but for those that failed in another study's attack and lack nothing here."""
        return () if self.retry_failed else tuple(t for t in self.trials if t.recorded.status == Status.FAILED and not t.known)

    @property
    def sources(self) -> frozenset[str]:
        """Keys of the trials from which the attacks that are left to run are transferred."""
        attacks = (e.attack for t in self.to_run for e in t.missing)
        return frozenset(attack.source for attack in attacks if isinstance(attack, Transfer))

    def check_sources(self, recorded: Mapping[str, Recorded]) -> None:
        """Check that every source of transferred attacks is a trained trial of the record, or one of this plan.

        Raises:
            BadInput: a source is not.
        """
        own = {trial.key for trial in self.trials}
        for source in sorted(self.sources - own):
            status = recorded[source].status if source in recorded else "not there"
            if status != Status.FINISHED:
                raise BadInput(f"attack.source = {source}: must be a finished trial of this storage, and it is {status}")

    def ready(self) -> "Plan":
        """Leave out what must wait for trainings of this plan: attacks transferred from them, and their prefixes."""
        unfinished = {trial.key for trial in self.trials if trial.recorded.status != Status.FINISHED}

        def is_ready(evaluation: Evaluation) -> bool:
            return not isinstance(evaluation.attack, Transfer) or evaluation.attack.source not in unfinished

        waiting = {trial.key for trials in self.prefixes.values() for trial in trials}
        there = (trial for trial in self.trials if trial.key not in waiting)
        trials = (replace(t, evaluations=tuple(e for e in t.evaluations if is_ready(e))) for t in there)
        return replace(self, trials=tuple(trials))

    def counts(self) -> dict[str, int]:
        """Count the plan's trials, evaluations and measurements, as ``--json`` prints them.

        ``trials_begun``: prefixes, which longer trainings train on their way; they are not among ``trials_to_run``.
        """
        begun = sum(map(len, self.prefixes.values()))
        return {
            "trials_requested": self.requested,
            "trials_unique": len(self.trials),
            "trials_cached": sum(t.recorded.status == Status.FINISHED for t in self.trials),
            "trials_to_run": sum(not t.trained for t in self.to_run) - begun,
            "trials_begun": begun,
            "trials_failed": len(self.failed),
            "evaluations_failed": sum(len(t.failed) for t in self.trials),
            "evaluations_requested": self.evaluations_requested,
            "evaluations_unique": sum(len(t.evaluations) for t in self.trials),
            "evaluations_to_run": sum(len(t.missing) for t in self.to_run),
            "measurements_to_run": sum(len(t.unmeasured) for t in self.to_run),
        }
