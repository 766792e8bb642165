"""The demand of studies: every trial that any of them needs, once, and what is to be run of it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.planning.plan import Evaluation, Measurement, PlannedTrial
from orchestrator.planning.reading import Reading
from orchestrator.record.recorded import Recorded
from search_spaces.column import AnyColumn
from search_spaces.study import Study
from trainables.config import (
    Attack,
    Measure,
    Transfer,
    TrialConfig,
    measure_key,
    measurement_key,
    older_keys,
    prefix_family,
    trial_key,
)

#: The seed of networks that attacks are transferred from; no arm has it.
SOURCE_SEED = 1000


@dataclass
class Wanted:
    """Everything that studies need of one trial.

    ``arms``: the arm's label by study. ``attacks``: by key and checkpoint, the attack, the label of the first column that needs
    it, and whether it must be complete. ``measures``: by key and checkpoint.
    """

    config: TrialConfig
    arms: dict[str, str] = field(default_factory=dict)
    attacks: dict[tuple[str, str], tuple[Attack, str, bool]] = field(default_factory=dict)
    measures: dict[tuple[str, str], Measure] = field(default_factory=dict)

    def ask(self, column: AnyColumn, reading: Reading, checkpoints: Iterable[str]) -> None:
        """Add what a column reads, on these checkpoints; an attack is complete if any column needs it complete."""
        for checkpoint in checkpoints:
            for read, attack in reading.attacks.items():
                key = read.attack, checkpoint
                _, label, complete = self.attacks.get(key, (attack, column.label, False))
                self.attacks[key] = attack, label, complete or getattr(column, "complete", False)
            if reading.measure is not None:
                self.measure(reading.measure, checkpoint)

    def measure(self, measure: Measure, checkpoint: str) -> None:
        self.measures[measure_key(measure), checkpoint] = measure


class Demand:
    """Everything that all studies need. ``requested``, ``evaluations_requested``: trials and evaluations before sharing."""

    def __init__(self) -> None:
        self._trials: dict[str, Wanted] = {}
        self.requested = 0
        self.evaluations_requested = 0

    def train(self, config: TrialConfig, study: Study, label: str) -> str:
        """Add the training of a configuration for a study, and return the trial's key."""
        key = trial_key(config)
        self._trials.setdefault(key, Wanted(config)).arms.setdefault(study.name, label)
        return key

    def __getitem__(self, key: str) -> Wanted:
        return self._trials[key]

    @property
    def _used(self) -> frozenset[str]:
        """Keys of the trials from which wanted attacks are transferred."""
        attacks = (attack for wanted in self._trials.values() for attack, *_ in wanted.attacks.values())
        return frozenset(attack.source for attack in attacks if isinstance(attack, Transfer))

    def trials(self) -> tuple[PlannedTrial, ...]:
        """Make the planned trials, in running order."""
        trials = [
            PlannedTrial(
                key,
                wanted.config,
                wanted.arms,
                tuple(Evaluation.of(key, a, c, label, complete) for (_, c), (a, label, complete) in wanted.attacks.items()),
                tuple(Measurement(measurement_key(key, c, m), c, m) for (_, c), m in wanted.measures.items()),
                Recorded(),
                prefix_family(wanted.config),
                older_keys(wanted.config),
            )
            for key, wanted in self._trials.items()
            if wanted.config.seed != SOURCE_SEED or key in self._used
        ]
        # Sources of transferred attacks first, then the first seed of every arm before the second of any, and of these the
        # trials that most studies share: tables exist early.
        return tuple(sorted(trials, key=lambda t: (t.config.seed != SOURCE_SEED, t.config.seed, -len(t.arms))))
