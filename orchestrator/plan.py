"""The plan: what studies ask for, what they share, what is there, and what has to run. Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from analysis.schema import FAILED, FINISHED, Manifest, ManifestArm, ManifestColumn, ManifestNumber
from orchestrator.cost import attack_passes, measure_passes
from orchestrator.errors import BadInput
from orchestrator.settings import configure, configure_attack, configure_measure, resolve, unknown_field
from orchestrator.store import Recorded
from search_spaces.factor import Settings
from search_spaces.study import Arm, Column, Profile, Study
from trainables.config import (
    Attack,
    Measure,
    Transfer,
    TrialConfig,
    attack_key,
    canonical_attack,
    canonical_measure,
    evaluation_key,
    heads,
    measurement_key,
    trial_key,
)

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

    @property
    def label(self) -> str:
        """A name for people: the arm in the first study that asked for it, and the seed."""
        return f"{next(iter(self.arms.values()))} seed {self.config.seed}"

    @property
    def trained(self) -> bool:
        # A training that its patience ended is finished before its last epoch.
        return self.recorded.status == FINISHED or self.recorded.epochs >= self.config.training.epochs

    @property
    def missing(self) -> tuple[Evaluation, ...]:
        return tuple(e for e in self.evaluations if not e.done(self.recorded.evaluations))

    @property
    def unmeasured(self) -> tuple[Measurement, ...]:
        return tuple(m for m in self.measurements if m.key not in self.recorded.measurements)

    @property
    def known(self) -> bool:
        """Whether nothing is left to find out about it, once it is trained."""
        return not self.missing and not self.unmeasured


@dataclass(frozen=True)
class Plan:
    """``requested``: trials that the studies ask for, each on its own; ``trials``: what that comes to, in running order.

    ``train``: whether trials are trained, or only those attacked that are.
    """

    manifests: tuple[Manifest, ...]
    trials: tuple[PlannedTrial, ...]
    requested: int
    retry_failed: bool = False
    train: bool = True

    def against(self, recorded: Mapping[str, Recorded]) -> "Plan":
        """The same plan, knowing what the record holds of its trials."""
        trials = tuple(replace(t, recorded=recorded.get(t.key, Recorded())) for t in self.trials)
        return replace(self, trials=trials)

    @property
    def to_run(self) -> tuple[PlannedTrial, ...]:
        """Trials that have something left to do; failed ones only if they are to be tried again."""
        return tuple(
            t
            for t in self.trials
            if (self.retry_failed or t.recorded.status != FAILED)
            and not (t.known and t.recorded.status == FINISHED)
            and (self.train or t.trained)
        )

    @property
    def untrained(self) -> tuple[PlannedTrial, ...]:
        """Trials that are left out because this plan trains nothing."""
        return () if self.train else tuple(t for t in self.trials if not t.trained)

    @property
    def failed(self) -> tuple[PlannedTrial, ...]:
        """Trials that failed before and are left alone. One that failed in another study's attack misses nothing here."""
        return () if self.retry_failed else tuple(t for t in self.trials if t.recorded.status == FAILED and not t.known)

    @property
    def sources(self) -> frozenset[str]:
        """Keys of the trials that attacks which are to run are transferred from."""
        attacks = (e.attack for t in self.to_run for e in t.missing)
        return frozenset(attack.source for attack in attacks if isinstance(attack, Transfer))

    def check_sources(self, recorded: Mapping[str, Recorded]) -> None:
        """See that what attacks are transferred from is trained.

        Raises:
            BadInput: it is not.
        """
        for source in sorted(self.sources):
            status = recorded[source].status if source in recorded else "not there"
            if status != FINISHED:
                raise BadInput(f"attack.source = {source}: must be a finished trial of this storage, and it is {status}")

    def counts(self) -> dict[str, int]:
        """The plan in numbers, as ``--json`` prints it."""
        return {
            "trials_requested": self.requested,
            "trials_unique": len(self.trials),
            "trials_cached": sum(t.recorded.status == FINISHED for t in self.trials),
            "trials_to_run": sum(not t.trained for t in self.to_run),
            "trials_failed": len(self.failed),
            "evaluations_to_run": sum(len(t.missing) for t in self.to_run),
            "measurements_to_run": sum(len(t.unmeasured) for t in self.to_run),
        }


def plan(
    studies: Sequence[Study],
    profile: str,
    *,
    seeds: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    added: Sequence[Column] = (),
    shown: bool = True,
    measures: Sequence[Settings] = (),
    checkpoints: Sequence[str] = CHECKPOINTS,
    train: bool = True,
    retry_failed: bool = False,
) -> Plan:
    """Expand studies into trials and evaluations; a trial that several share is one.

    ``seeds``: how many, None for the profile's own. ``overrides``: fields that hold in every trial that has them.
    ``added``: columns beside the studies' own, in their tables if they are to be ``shown``, and ``measures``: fields of
    measures, of every arm that they mean something for; both on these ``checkpoints``. ``train``: see :class:`Plan`.

    Raises:
        BadInput: a field or value is not allowed.
    """
    overrides = overrides or {}
    if "seed" in overrides:
        raise BadInput("--set seed: the seeds of a study are 0, 1, ...; say how many with --seeds")
    expanded = [_expand(study, profile, seeds, overrides) for study in studies]
    applied = {name for _, arms in expanded for _, configs, held in arms for name in held}
    for name in overrides:
        if name not in applied:
            raise unknown_field(name, (configs[0] for _, arms in expanded for _, configs, _ in arms))

    configs_by_key: dict[str, TrialConfig] = {}
    arms_by_key: dict[str, dict[str, str]] = {}
    wanted: dict[str, dict[tuple[str, str], _Wanted]] = {}
    measured: dict[str, dict[str, Measurement]] = {}
    manifests = []
    requested = 0
    for study, (run, arms) in zip(studies, expanded, strict=True):
        columns = (*study.columns, *added)
        attacks_of = [_attacks(column, run) for column in columns]
        looks = [configure_measure(resolve(settings, run.eps)) for settings in measures]
        manifest_arms = []
        for arm, configs, _ in arms:
            requested += len(configs)
            per_column = [
                _canonical(attacks, configs[0]) if column.head in heads(configs[0].module) else {}
                for column, attacks in zip(columns, attacks_of, strict=True)
            ]
            keys = {}
            for config in configs:
                keys[str(config.seed)] = key = trial_key(config)
                configs_by_key[key] = config
                arms_by_key.setdefault(key, {})[study.name] = " ".join(arm.labels) or study.title
                found = (Measurement(measurement_key(key, c, m), c, m) for m in _looks(looks, config) for c in checkpoints)
                measured.setdefault(key, {}).update((m.key, m) for m in found)
                mine = wanted.setdefault(key, {})
                for column, attacks in zip(columns, per_column, strict=True):
                    for attack in attacks.values():
                        for checkpoint in checkpoints if column in added else CHECKPOINTS:
                            place = attack_key(attack), checkpoint
                            before = mine.get(place, _Wanted(attack, checkpoint, column.label, False))
                            mine[place] = before._replace(complete=before.complete or column.complete)
            labelled = list(zip(columns, per_column, strict=True))[: None if shown else len(study.columns)]
            attack_keys = {c.label: {beta: attack_key(a) for beta, a in found.items()} for c, found in labelled if found}
            manifest_arms.append(ManifestArm(arm.labels, keys, attack_keys))
        manifest = _manifest(study, run, arms[0][1][0], overrides, tuple(manifest_arms))
        extra = tuple(ManifestColumn(c.label, c.adversarial, c.head, True, c.top_k) for c in added if shown)
        manifests.append(replace(manifest, columns=(*manifest.columns, *extra)))

    trials = [
        PlannedTrial(
            key,
            config,
            arms_by_key[key],
            tuple(Evaluation.of(key, *w) for w in wanted[key].values()),
            tuple(measured[key].values()),
            Recorded(),
        )
        for key, config in configs_by_key.items()
    ]
    # The first seed of every arm before the second of any, and what most studies wait for first: tables exist early.
    trials.sort(key=lambda trial: (trial.config.seed, -len(trial.arms)))
    return Plan(tuple(manifests), tuple(trials), requested, retry_failed, train)


class _Wanted(NamedTuple):
    """An attack on a checkpoint. ``label``: the first column that wants it; ``complete``: whether any wants it so."""

    attack: Attack
    checkpoint: str
    label: str
    complete: bool


_Arms = list[tuple[Arm, list[TrialConfig], frozenset[str]]]


def _expand(study: Study, profile_name: str, seeds: int | None, overrides: Mapping[str, Any]) -> tuple[Profile, _Arms]:
    """The study's arms in a profile: labels, a configuration for each seed, and the overrides that hold in them."""
    if profile_name not in study.profiles:
        raise BadInput(f"--profile {profile_name!r}: allowed for {study.name}: {', '.join(study.profiles)}")
    profile = study.profiles[profile_name]
    pins = {**resolve(profile.pins, profile.eps), **overrides}
    pinned = Profile(profile.name, profile.eps, profile.seeds, profile.settings, pins, profile.beta_atk)
    arms: _Arms = []
    for arm in study.arms(pinned):
        layers = [resolve(layer, profile.eps) for layer in (profile.settings, study.fixed, arm.settings)]
        configs, held = [], frozenset[str]()
        for seed in range(seeds or profile.seeds):
            config, held = configure([*layers, {"seed": seed}], pins)
            configs.append(config)
        arms.append((arm, configs, held & overrides.keys()))
    return pinned, arms


def _attacks(column: Column, profile: Profile) -> list[Attack]:
    """The attacks of a column, one for each joint loss that the attacker tries."""
    settings = resolve(column.attack, profile.eps)
    attack = configure_attack(settings)
    if not hasattr(attack, "beta_atk"):
        return [attack]
    betas = profile.beta_atk if column.beta_atk is None else column.beta_atk
    return [configure_attack({**settings, "beta_atk": beta}) for beta in betas]


def _canonical(attacks: Iterable[Attack], config: TrialConfig) -> dict[str, Attack]:
    """The attacks that mean something for this trial, by beta_atk ("" where it has none), each once."""
    canonical = [canonical_attack(attack, config.module) for attack in attacks]
    return {getattr(a, "beta_atk", ""): a for a in canonical if a is not None}


def _looks(measures: Iterable[Measure], config: TrialConfig) -> list[Measure]:
    """The measures that mean something for this trial."""
    found = []
    for measure in measures:
        try:
            found.append(canonical_measure(measure, config))
        except ValueError as error:
            raise BadInput(f"measure {measure.name}: {error}") from error
    return [measure for measure in found if measure is not None]


def _manifest(
    study: Study, profile: Profile, config: TrialConfig, overrides: Mapping[str, Any], arms: tuple[ManifestArm, ...]
) -> Manifest:
    return Manifest(
        study=study.name,
        aliases=study.aliases,
        reference=study.reference,
        title=study.title,
        profile=profile.name,
        variant=_variant(profile.name, overrides),
        overrides=dict(overrides),
        selection=config.selection.split,
        checkpoint=study.checkpoint,
        rows_by_beta=study.rows_by_beta,
        factors=tuple(factor.name for factor in study.varied(profile)),
        columns=tuple(ManifestColumn(c.label, c.adversarial, c.head, top_k=c.top_k) for c in study.columns),
        arms=arms,
        printed=tuple(ManifestNumber(*number) for number in study.printed()),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _variant(profile: str, overrides: Mapping[str, Any]) -> str:
    """A profile and overrides as the name of a file; what such a name cannot hold is told apart by a hash."""
    text = "@".join([profile, *(f"{name}={value}" for name, value in sorted(overrides.items()))])
    name = re.sub(r"[^a-zA-Z0-9@=.,_-]", "_", text)[:150]
    return name if name == text else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def training_passes(config: TrialConfig) -> float:
    """Cost of an epoch in forward-backward passes over single images: the attack's iterations and the weights' own step."""
    data = config.data
    images = min(data.info.train, data.examples or data.info.train) * (1 - data.validation)
    return images * ((getattr(config.attack, "iterations", 1) if config.attack else 0) + 1)


def evaluation_passes(config: TrialConfig, attack: Attack) -> float:
    """Cost of an evaluation in forward-backward passes over single images, at most: what is broken costs no more."""
    test = config.data.info.test
    images = min(test, config.data.examples or test, attack.examples or test)
    return images * attack_passes(attack, config.data.info.classes)


def measurement_passes(config: TrialConfig, measure: Measure) -> float:
    """Cost of a measurement in forward-backward passes over single images, at most."""
    images = min(config.data.info.test, config.data.examples or config.data.info.test)
    return images * measure_passes(measure, config.data.info.classes)
