"""What a column reads of one trial: the attacks and measures that its settings mean there. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from analysis.schema import ManifestColumn
from orchestrator.errors import BadInput
from orchestrator.planning.settings import configure_attack, configure_measure, resolve
from search_spaces.column import AnyColumn, Area, Column, Cost, Ensemble, Measured, Source
from search_spaces.factor import Eps, Settings
from search_spaces.profiles import NATURAL
from search_spaces.study import Profile
from trainables.config import Attack, Measure, TrialConfig, attack_key, canonical_attack, canonical_measure, heads, measure_key

#: The key of the trial that a transferred attack comes from.
SourceKey = Callable[[Source], str]


class Reading(NamedTuple):
    """``attacks``: by beta_atk, by eps, or by what tells them apart; ``measure``: one at most; ``training``: its seconds."""

    attacks: Mapping[str, Attack] = {}
    measure: Measure | None = None
    training: bool = False

    @property
    def keys(self) -> dict[str, str]:
        """As :class:`analysis.schema.ManifestArm` has them; empty where the column means nothing here."""
        if self.measure is not None:
            return {"": measure_key(self.measure)}
        return {"": ""} if self.training else {name: attack_key(attack) for name, attack in self.attacks.items()}


class Reader:
    """Columns as they act on one trial.

    Args:
        config: of the trial.
        profile: its eps, and the joint losses of columns without a list of their own.
        source_key: see :data:`SourceKey`.
    """

    def __init__(self, config: TrialConfig, profile: Profile, source_key: SourceKey) -> None:
        self.config, self.profile, self._source_key = config, profile, source_key

    def readings(self, columns: Iterable[AnyColumn]) -> list[tuple[AnyColumn, Reading]]:
        """What each of a row's columns reads; an ensemble what the columns of its labels read."""
        columns = tuple(columns)
        plain = {column.label: self._reading(column) for column in columns if not isinstance(column, Ensemble)}
        return [(c, self._ensemble(c, plain) if isinstance(c, Ensemble) else plain[c.label]) for c in columns]

    @staticmethod
    def _ensemble(column: Ensemble, readings: Mapping[str, Reading]) -> Reading:
        parts = {label: readings[label].attacks for label in column.of if label in readings}
        return Reading({f"{label} {name}".strip(): a for label, attacks in parts.items() for name, a in attacks.items()})

    def _reading(self, column: Column | Area | Measured | Cost) -> Reading:
        match column:
            case Column():
                return Reading(self._by_beta(column) if column.head in heads(self.config.module) else {})
            case Area():
                return Reading(self._by_eps(column))
            case Measured():
                return Reading(measure=self.measure(column.measure))
            case Cost():
                return (
                    Reading(training=True) if column.attack is None else Reading(self._known({"": self._attack(column.attack)}))
                )

    def measure(self, settings: Settings) -> Measure | None:
        """The measure as it acts here; None where it means nothing.

        Raises:
            BadInput: a field or value is not allowed.
        """
        measure = configure_measure(self._resolved(settings, self.profile.eps))
        try:
            return canonical_measure(measure, self.config)
        except ValueError as error:
            raise BadInput(f"measure {measure.name}: {error}") from error

    def _by_beta(self, column: Column) -> dict[str, Attack]:
        """One attack for each joint loss that the attacker tries, each once; "" where there is none."""
        attack = self._attack(column.attack)
        if not hasattr(attack, "beta_atk"):
            return self._known({"": attack})
        betas = self.profile.beta_atk if column.beta_atk is None else column.beta_atk
        known = self._known({beta: attack.model_copy(update={"beta_atk": beta}) for beta in betas})
        return {str(getattr(attack, "beta_atk", "")): attack for attack in known.values()}

    def _by_eps(self, column: Area) -> dict[str, Attack]:
        grid = [e.times * self.profile.eps if isinstance(e, Eps) else e for e in column.grid]
        if column.smallest:
            largest = self._attack(column.attack, grid[-1])
            return self._known({repr(float(eps)): largest for eps in (0.0, *grid)})
        return self._known({"0.0": self._attack(NATURAL.attack), **{repr(e): self._attack(column.attack, e) for e in grid}})

    def _attack(self, settings: Settings, eps: float | None = None) -> Attack:
        return configure_attack(self._resolved(settings, self.profile.eps if eps is None else eps))

    def _known(self, attacks: Mapping[str, Attack]) -> dict[str, Attack]:
        """Those that mean something for this trial, in the form that is hashed."""
        canonical = {name: canonical_attack(attack, self.config.module) for name, attack in attacks.items()}
        return {name: attack for name, attack in canonical.items() if attack is not None}

    def _resolved(self, settings: Settings, eps: float) -> dict[str, Any]:
        """Without multiples of eps, and with trials' keys for sources."""

        def known(value: Any) -> Any:
            if isinstance(value, Source):
                return self._source_key(value)
            return {name: known(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value

        return {name: known(value) for name, value in resolve(settings, eps).items()}


def manifest_column(column: AnyColumn, *, added: bool = False) -> ManifestColumn:
    """The column as tables know it."""
    match column:
        case Column():
            return ManifestColumn(column.label, column.adversarial, column.head, added, column.top_k, column.only)
        case Ensemble():
            return ManifestColumn(column.label, True, added=added, kind="ensemble")
        case Area():
            return ManifestColumn(column.label, True, added=added, kind="area")
        case Measured():
            made = ManifestColumn(column.label, False, added=added, kind="measure", array=column.array)
            return replace(made, times=column.times, statistic=column.statistic)
        case Cost():
            return ManifestColumn(column.label, False, added=added, kind="cost")
