"""The attacks and measures that each column reads of one trial. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from analysis.record.manifest import ManifestColumn, Read
from orchestrator.errors import BadInput
from orchestrator.planning.settings import configure_attack, configure_measure, on_data, resolve
from search_spaces.column import AnyColumn, Area, Column, Cost, Ensemble, Measured
from search_spaces.profiles import NATURAL
from search_spaces.settings import Eps, Settings, SourceSettings
from search_spaces.study import Profile, Study
from trainables.config import Attack, Measure, TrialConfig, attack_key, canonical_attack, canonical_measure, heads

#: A function that plans the training of a source network, and returns its trial's key.
SourceKey = Callable[[SourceSettings], str]


class Reading(NamedTuple):
    """What one column reads of a trial; empty where the column does not apply to it.

    ``attacks``: by their entries in the manifest. ``measure``: at most one. ``training``: whether the column shows the cost of
    training.
    """

    attacks: Mapping[Read, Attack] = {}
    measure: Measure | None = None
    training: bool = False


class Reader:
    """Finds the attacks and measures that columns mean for one trial.

    Args:
        config: the trial's configuration.
        profile: gives eps, and the joint losses of columns that list none.
        source_key: see :data:`SourceKey`.
    """

    def __init__(self, config: TrialConfig, profile: Profile, source_key: SourceKey) -> None:
        self.config, self.profile, self._source_key = config, profile, source_key

    def readings(self, columns: Iterable[AnyColumn]) -> list[tuple[AnyColumn, Reading]]:
        """Find what each column of a row reads; an ensemble reads what the columns that it names read."""
        columns = tuple(columns)
        plain = {column.label: self._reading(column) for column in columns if not isinstance(column, Ensemble)}
        return [(c, self._ensemble(c, plain) if isinstance(c, Ensemble) else plain[c.label]) for c in columns]

    @staticmethod
    def _ensemble(column: Ensemble, readings: Mapping[str, Reading]) -> Reading:
        parts = {label: readings[label].attacks for label in column.of if label in readings}
        return Reading({replace(read, column=label): a for label, attacks in parts.items() for read, a in attacks.items()})

    def _reading(self, column: Column | Area | Measured | Cost) -> Reading:
        match column:
            case Column():
                return Reading(self._by_beta(column) if column.head in heads(self.config.module) else {})
            case Area():
                return Reading(self._by_eps(column))
            case Measured():
                return Reading(measure=self.measure(column.measure))
            case Cost():
                if column.attack is None:
                    return Reading(training=True)
                return Reading(self._reads([(None, self._attack(column.attack))]))

    def measure(self, settings: Settings) -> Measure | None:
        """Build a measure in its canonical form for the trial; None where it does not apply.

        Raises:
            BadInput: a field or value is not allowed.
        """
        measure = configure_measure(self._resolved(settings, self.profile.eps))
        try:
            return canonical_measure(measure, self.config)
        except ValueError as error:
            raise BadInput(f"measure {measure.name}: {error}") from error

    def _by_beta(self, column: Column) -> dict[Read, Attack]:
        """Build an attack for each joint loss that the attacker tries; a single one where it has no beta_atk."""
        attack = self._attack(column.attack)
        if not hasattr(attack, "beta_atk"):
            return self._reads([(None, attack)])
        betas = self.profile.beta_atk if column.beta_atk is None else column.beta_atk
        return self._reads((None, attack.model_copy(update={"beta_atk": beta})) for beta in betas)

    def _by_eps(self, column: Area) -> dict[Read, Attack]:
        """Build an attack for each eps of the grid, and natural accuracy at 0."""
        grid = [float(e.times * self.profile.eps if isinstance(e, Eps) else e) for e in column.grid]
        if column.smallest:
            largest = self._attack(column.attack, grid[-1])
            return self._reads((eps, largest) for eps in (0.0, *grid))
        return self._reads({0.0: self._attack(NATURAL.attack), **{e: self._attack(column.attack, e) for e in grid}}.items())

    def _attack(self, settings: Settings, eps: float | None = None) -> Attack:
        attack = configure_attack(self._resolved(settings, self.profile.eps if eps is None else eps))
        return on_data(attack, self.config.data)

    def _reads(self, attacks: Iterable[tuple[float | None, Attack]]) -> dict[Read, Attack]:
        """Bring attacks, each with its eps, into canonical form; those that do not apply to the trial are left out."""
        canonical = ((eps, canonical_attack(attack, self.config.module)) for eps, attack in attacks)
        return {
            Read(attack_key(attack), getattr(attack, "beta_atk", None), eps): attack
            for eps, attack in canonical
            if attack is not None
        }

    def _resolved(self, settings: Settings, eps: float) -> dict[str, Any]:
        """Replace multiples of eps by numbers, and source networks by the keys of their trials."""

        def known(value: Any) -> Any:
            if isinstance(value, SourceSettings):
                return self._source_key(value)
            return {name: known(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value

        return {name: known(value) for name, value in resolve(settings, eps).items()}


def by_last(study: Study, profile: Profile) -> frozenset[str]:
    """Name the columns that count by the last iterate: in profile ``paper`` those of attacks beside a printed number.

    The papers' public codes judge the last iterate alone. The columns of which an ensemble consists are among them.
    """
    if profile.name != "paper":
        return frozenset()
    printed = {number.column for number in study.printed()}
    counted = [c for c in study.columns if c.label in printed and isinstance(c, Column | Ensemble)]
    attacks = (c.label for c in counted if isinstance(c, Column) and c.adversarial and c.only is None)
    return frozenset((*attacks, *(name for c in counted if isinstance(c, Ensemble) for name in (c.label, *c.of))))


def manifest_column(column: AnyColumn, *, added: bool = False, last: bool = False) -> ManifestColumn:
    """Make the manifest's entry of a column; ``last``: whether it is one of :func:`by_last`."""
    match column:
        case Column():
            made = ManifestColumn(column.label, column.adversarial, column.head, added, column.top_k, column.only)
            return replace(made, last=last)
        case Ensemble():
            return ManifestColumn(column.label, True, added=added, kind="ensemble", last=last)
        case Area():
            return ManifestColumn(column.label, True, added=added, kind="area")
        case Measured():
            made = ManifestColumn(column.label, False, added=added, kind="measure", array=column.array)
            return replace(made, times=column.times, statistic=column.statistic)
        case Cost():
            return ManifestColumn(column.label, False, added=added, kind="cost")
