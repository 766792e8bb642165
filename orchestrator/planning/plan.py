"""The plan as a value: trials, what is to be found out about them, what is there, and what has to run. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from analysis.manifest import Manifest
from analysis.schema import Status
from orchestrator.errors import BadInput
from orchestrator.record.recorded import Recorded
from trainables.config import Attack, Measure, Transfer, TrialConfig, evaluation_key
from trainables.config.terms.registry import Entry, used_plugins

CHECKPOINTS = ("last", "best")


@dataclass(frozen=True)
class Evaluation:
    """One attack on one checkpoint of a trial. ``label``: the column that first asked for it.

    ``complete``: whether every example is attacked to its end, for columns that look at more than final accuracy. ``instead``:
    the key of the complete evaluation that answers an incomplete one too.
    """

    key: str
    checkpoint: str
    attack: Attack
    label: str
    complete: bool = False
    instead: str | None = None

    @classmethod
    def of(cls, trial: str, attack: Attack, checkpoint: str, label: str, complete: bool = False) -> Self:
        """The evaluation of a trial by its key."""
        whole = evaluation_key(trial, checkpoint, attack, True)
        if complete:
            return cls(whole, checkpoint, attack, label, complete)
        return cls(evaluation_key(trial, checkpoint, attack), checkpoint, attack, label, complete, whole)

    def done(self, recorded: frozenset[str]) -> bool:
        """Whether these keys answer it."""
        return self.key in recorded or self.instead in recorded


@dataclass(frozen=True)
class Measurement:
    """One measure of one checkpoint of a trial."""

    key: str
    checkpoint: str
    measure: Measure


@dataclass(frozen=True)
class PlannedTrial:
    """A training, everything that the studies want to know of it, and what the record holds of it."""

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
        """A name for people: the arm in the first study that asked for it, and the seed."""
        return f"{next(iter(self.arms.values()))} seed {self.config.seed}"

    @property
    def trained(self) -> bool:
        # A training that its patience ended is finished before its last epoch.
        return self.recorded.status == Status.FINISHED or self.recorded.epochs >= self.config.training.epochs

    @property
    def missing(self) -> tuple[Evaluation, ...]:
        return tuple(e for e in self.evaluations if not e.done(self.recorded.evaluations))

    @property
    def unmeasured(self) -> tuple[Measurement, ...]:
        return tuple(m for m in self.measurements if m.key not in self.recorded.measurements)

    @property
    def plugins(self) -> frozenset[Entry]:
        """The plugins in what is left to do."""
        return used_plugins((self.config, *(e.attack for e in self.missing), *(m.measure for m in self.unmeasured)))

    @property
    def known(self) -> bool:
        """Whether nothing is left to find out about it, once it is trained."""
        return not self.missing and not self.unmeasured


@dataclass(frozen=True)
class Plan:
    """``requested``: trials that the studies ask for, each on its own; ``trials``: what that comes to, in running order.

    ``train``: whether trials are trained, or only those attacked that are. ``evaluations_requested``: as ``requested``.
    ``outdated``: how many untrained trials are recorded under an older numerics, by what was older then.
    """

    manifests: tuple[Manifest, ...]
    trials: tuple[PlannedTrial, ...]
    requested: int
    retry_failed: bool = False
    train: bool = True
    evaluations_requested: int = 0
    outdated: Mapping[str, int] = field(default_factory=dict)

    def against(self, recorded: Mapping[str, Recorded]) -> "Plan":
        """The same plan, knowing what the record holds of its trials."""
        trials = tuple(replace(t, recorded=recorded.get(t.key, Recorded())) for t in self.trials)
        outdated: Counter[str] = Counter()
        for trial in (trial for trial in trials if not trial.trained):
            found = (parts for key, parts in trial.older.items() if key in recorded and recorded[key].status == Status.FINISHED)
            outdated.update(next(found, ()))
        return replace(self, trials=trials, outdated=dict(outdated))

    @property
    def keys(self) -> Iterator[str]:
        """Keys of the trials, and those that they had under older numerics: what :meth:`against` asks the record for."""
        for trial in self.trials:
            yield from (trial.key, *trial.older)

    @property
    def to_run(self) -> tuple[PlannedTrial, ...]:
        """Trials that have something left to do; failed ones only if they are to be tried again."""
        return tuple(
            t
            for t in self.trials
            if (self.retry_failed or t.recorded.status != Status.FAILED)
            and not (t.known and t.recorded.status == Status.FINISHED)
            and (self.train or t.trained)
        )

    @property
    def prefixes(self) -> Mapping[str, tuple[PlannedTrial, ...]]:
        """Trials that are trained on the way, by the key of the longest training that passes through them."""
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
        """Trials that are left out because this plan trains nothing."""
        return () if self.train else tuple(t for t in self.trials if not t.trained)

    @property
    def failed(self) -> tuple[PlannedTrial, ...]:
        """Trials that failed before and are left alone. One that failed in another study's attack misses nothing here."""
        return () if self.retry_failed else tuple(t for t in self.trials if t.recorded.status == Status.FAILED and not t.known)

    @property
    def sources(self) -> frozenset[str]:
        """Keys of the trials that attacks which are to run are transferred from."""
        attacks = (e.attack for t in self.to_run for e in t.missing)
        return frozenset(attack.source for attack in attacks if isinstance(attack, Transfer))

    def check_sources(self, recorded: Mapping[str, Recorded]) -> None:
        """See that what attacks are transferred from is trained, unless this plan trains it.

        Raises:
            BadInput: it is not.
        """
        own = {trial.key for trial in self.trials}
        for source in sorted(self.sources - own):
            status = recorded[source].status if source in recorded else "not there"
            if status != Status.FINISHED:
                raise BadInput(f"attack.source = {source}: must be a finished trial of this storage, and it is {status}")

    def ready(self) -> "Plan":
        """The same plan without what waits for its trainings: attacks that come from them, and what they pass through."""
        unfinished = {trial.key for trial in self.trials if trial.recorded.status != Status.FINISHED}

        def is_ready(evaluation: Evaluation) -> bool:
            return not isinstance(evaluation.attack, Transfer) or evaluation.attack.source not in unfinished

        waiting = {trial.key for trials in self.prefixes.values() for trial in trials}
        there = (trial for trial in self.trials if trial.key not in waiting)
        trials = (replace(t, evaluations=tuple(e for e in t.evaluations if is_ready(e))) for t in there)
        return replace(self, trials=tuple(trials))

    def counts(self) -> dict[str, int]:
        """The plan in numbers, as ``--json`` prints it. ``trials_begun``: of those to run, what others train on their way."""
        begun = sum(map(len, self.prefixes.values()))
        return {
            "trials_requested": self.requested,
            "trials_unique": len(self.trials),
            "trials_cached": sum(t.recorded.status == Status.FINISHED for t in self.trials),
            "trials_to_run": sum(not t.trained for t in self.to_run) - begun,
            "trials_begun": begun,
            "trials_failed": len(self.failed),
            "evaluations_requested": self.evaluations_requested,
            "evaluations_unique": sum(len(t.evaluations) for t in self.trials),
            "evaluations_to_run": sum(len(t.missing) for t in self.to_run),
            "measurements_to_run": sum(len(t.unmeasured) for t in self.to_run),
        }
