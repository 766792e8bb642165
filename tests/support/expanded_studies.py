"""Trials, attacks and measures of the studies, as configurations of the trainables."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from orchestrator.planning.settings import configure, resolve
from search_spaces.catalog import STUDIES
from search_spaces.column import AnyColumn, Area, Column, Cost, Measured
from search_spaces.settings import Settings, SourceSettings
from search_spaces.study import Arm, Profile, Study
from trainables.config import Attack, Measure, Natural, TrialConfig, trial_key


def trial(study: Study, arm: Arm, profile: Profile) -> TrialConfig:
    """Return the trial of an arm's first seed."""
    return configured(profile, study.fixed, arm.settings)


def configured(profile: Profile, *layers: Settings) -> TrialConfig:
    """Return the profile's configuration with the settings of ``layers`` applied in turn."""
    resolved = [resolve(layer, profile.eps) for layer in (profile.settings, *layers)]
    return configure(resolved, resolve(profile.pins, profile.eps))[0]


def trials(study: Study, profile: Profile) -> dict[tuple[str, ...], TrialConfig]:
    """Return the trial of every arm by its labels."""
    return {arm.labels: trial(study, arm, profile) for arm in study.arms(profile)}


def named(name: str, *labels: str, profile: str = "paper") -> TrialConfig:
    """Return the trial of a study's row."""
    study = STUDIES[name]
    return trials(study, study.profiles[profile])[labels]


def attacks(column: Column, profile: Profile) -> list[Attack]:
    """Return a column's attacks, one for each beta_atk."""
    plain = _plain(column.attack, profile)
    tries: list[Mapping[str, Any]] = [plain]
    if "beta_atk" in _validated(Attack, plain).__class__.model_fields:
        betas = profile.beta_atk if column.beta_atk is None else column.beta_atk
        tries = [{**plain, "beta_atk": beta} for beta in betas]
    return [_validated(Attack, attack) for attack in tries]


def every_attack(column: AnyColumn, profile: Profile) -> list[Attack]:
    """The attacks that stand in any kind of column, but for the natural one."""
    match column:
        case Column():
            found = attacks(column, profile)
        case Area() | Cost():
            found = [_validated(Attack, _plain(column.attack, profile))] if column.attack else []
        case Measured():
            spec = measure(column.measure, profile)
            found = [getattr(spec, field) for field in ("attack", "reference") if hasattr(spec, field)]
        case _:
            found = []
    return [attack for attack in found if not isinstance(attack, Natural)]


def measure(settings: Settings, profile: Profile) -> Measure:
    """Build a measure from its fields."""
    found: Measure = _validated(Measure, _plain(settings, profile))
    return found


def _plain(settings: Settings, profile: Profile) -> dict[str, Any]:
    """Settings with numbers for multiples of eps, and keys for networks to transfer from."""

    def value(setting: Any) -> Any:
        if isinstance(setting, SourceSettings):
            return trial_key(configured(profile, setting.settings))
        return {k: value(v) for k, v in setting.items()} if isinstance(setting, Mapping) else setting

    return {name: value(setting) for name, setting in resolve(settings, profile.eps).items()}


def _validated(union: Any, settings: Mapping[str, Any]) -> Any:
    return TypeAdapter(union).validate_json(json.dumps(settings))
