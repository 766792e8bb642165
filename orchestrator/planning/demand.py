"""The demand of studies: every trial that any of them needs, once, and what is to be run of it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

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
    trial_keys,
)
from trainables.config.identity import TrialKeys

#: The seed of networks that attacks are transferred from.
SOURCE_SEED = 1000


@dataclass
class Asked:
    """What is asked of trials: of every seed of a row alike.

    ``attacks``: by key and checkpoint, the attack, the label of the first column that needs it, and whether it must be
    complete. ``measures``: by key and checkpoint.
    """

    attacks: dict[tuple[str, str], tuple[Attack, str, bool]] = field(default_factory=dict)
    measures: dict[tuple[str, str], Measure] = field(default_factory=dict)

    def read(self, column: AnyColumn, reading: Reading, checkpoints: Iterable[str], last: bool = False) -> None:
        """Add what a column reads, on these checkpoints; an attack is complete if any column needs it complete.

        ``last``: whether the column counts by the last iterate, which attacks that count gradient steps have when complete.
        """
        for checkpoint in checkpoints:
            for read, attack in reading.attacks.items():
                complete = getattr(column, "complete", False) or (last and attack.gradient_steps is not None)
                self._attack((read.attack, checkpoint), attack, column.label, complete)
            if reading.measure is not None:
                self.measure(reading.measure, checkpoint)

    def measure(self, measure: Measure, checkpoint: str) -> None:
        self.measures[measure_key(measure), checkpoint] = measure

    def also(self, more: Self) -> Self:
        """Return this and more; neither is changed, and where nothing was asked before, it is ``more`` itself."""
        if not self.attacks and not self.measures:
            return more
        both = replace(self, attacks=dict(self.attacks), measures=self.measures | more.measures)
        for key, (attack, label, complete) in more.attacks.items():
            both._attack(key, attack, label, complete)
        return both

    @property
    def sources(self) -> frozenset[str]:
        """Keys of the trials from which attacks are transferred."""
        return frozenset(attack.source for attack, *_ in self.attacks.values() if isinstance(attack, Transfer))

    def _attack(self, key: tuple[str, str], attack: Attack, label: str, complete: bool) -> None:
        _, first, before = self.attacks.get(key, (attack, label, False))
        self.attacks[key] = attack, first, before or complete


@dataclass
class Wanted:
    """Everything that studies need of one trial; ``arms``: the arm's label by study."""

    config: TrialConfig
    keys: TrialKeys
    arms: dict[str, str] = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)

    @property
    def is_asked(self) -> bool:
        """Whether anything is asked of it; of a source nothing is, but that attacks are transferred from it."""
        return self.config.seed != SOURCE_SEED or bool(self.asked.attacks or self.asked.measures)

    def planned(self) -> PlannedTrial:
        """Make the planned trial, of which nothing is recorded yet."""
        key, attacks, measures = self.keys.key, self.asked.attacks.items(), self.asked.measures.items()
        evaluations = (Evaluation.of(key, a, c, label, complete, its) for (its, c), (a, label, complete) in attacks)
        measurements = (Measurement(measurement_key(key, c, its), c, m) for (its, c), m in measures)
        return PlannedTrial(
            key, self.config, self.arms, tuple(evaluations), tuple(measurements), Recorded(), self.keys.family, self.keys.older
        )


class Demand:
    """Everything that all studies need. ``requested``, ``evaluations_requested``: trials and evaluations before sharing."""

    def __init__(self) -> None:
        self._trials: dict[str, Wanted] = {}
        self._sources = set[str]()
        self.requested = 0
        self.evaluations_requested = 0

    def train(self, configs: Sequence[TrialConfig], study: Study, label: str) -> list[str]:
        """Add trainings that differ in their seeds alone for a study, and return the trials' keys."""
        found = trial_keys(configs[0], (config.seed for config in configs))
        for config, keys in zip(configs, found, strict=True):
            self._trials.setdefault(keys.key, Wanted(config, keys)).arms.setdefault(study.name, label)
        return [keys.key for keys in found]

    def ask(self, trials: Iterable[str], asked: Asked) -> None:
        """Add what is asked of each of these trials; ``asked`` must not be changed any more."""
        self._sources |= asked.sources
        for wanted in map(self._trials.__getitem__, trials):
            wanted.asked = wanted.asked.also(asked)

    def __getitem__(self, key: str) -> Wanted:
        return self._trials[key]

    def trials(self) -> tuple[PlannedTrial, ...]:
        """Make the planned trials, in running order."""
        trials = [wanted.planned() for key, wanted in self._trials.items() if key in self._sources or wanted.is_asked]
        # Sources of transferred attacks first, then the first seed of every arm before the second of any, and of these the
        # trials that most studies share: tables exist early.
        return tuple(sorted(trials, key=lambda t: (t.config.seed != SOURCE_SEED, t.config.seed, -len(t.arms))))
