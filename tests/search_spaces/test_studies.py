"""Every study, in every profile, makes trials, attacks and measures that the trainables accept."""

from itertools import combinations
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution

from search_spaces.catalog import STUDIES
from search_spaces.column import Column, Cost, Ensemble, Measured
from search_spaces.papers import afd, cas, cifs, fsr, infofeature
from search_spaces.study import Profile, Study
from tests.support.expanded_studies import attacks, every_attack, measure, trials
from trainables.config import Natural, canonical_attack, canonical_measure, heads

PAPERS = [pytest.param(paper, id=paper.__name__.rpartition(".")[2]) for paper in (cas, cifs, infofeature, afd, fsr)]
PROFILES = ("paper", "short", "demo")
CASES = [pytest.param(s, p, id=f"{s.name}-{p.name}") for s in STUDIES.values() for p in s.profiles.values()]
#: What the table of epochs can show.
BY_EPOCH = {"train_loss", "train_accuracy", "natural_accuracy", "robust_accuracy", "discriminator_accuracy"}
#: Studies of accuracy against eps.
OVER_EPS = {"cas/table-13", "fsr/figure-s2b"}


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_has_the_three_profiles_in_order(study: Study) -> None:
    assert tuple(study.profiles) == PROFILES
    assert all(name == profile.name for name, profile in study.profiles.items())


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_arms_are_valid_and_differ(study: Study, profile: Profile) -> None:
    configs = trials(study, profile)
    assert len(configs) > 1 or all(len(factor.levels) == 1 for factor in study.varied(profile))
    assert all(a != b for a, b in combinations(configs.values(), 2))
    assert all(len(labels) == len(study.varied(profile)) for labels in configs)


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_every_row_has_columns_and_each_label_once(study: Study, profile: Profile) -> None:
    for arm in study.arms(profile):
        columns = study.columns_of(arm, profile)
        labels = [column.label for column in columns]
        assert 0 < len(labels) == len(set(labels))
        assert all(set(column.of) <= set(labels) for column in columns if isinstance(column, Ensemble))
        panels = [panel.label for panel in study.panels_of(arm, profile)]
        assert len(panels) == len(set(panels))


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_attacks_are_valid_and_mean_something_in_some_row(study: Study, profile: Profile) -> None:
    configs = trials(study, profile)
    for column in study.columns:
        modules = [configs[arm.labels].module for arm in study.arms(profile) if column in study.columns_of(arm, profile)]
        if not isinstance(column, Column):
            assert all(canonical_attack(attack, m) for attack in every_attack(column, profile) for m in modules)
        elif modules:
            assert any(column.head in heads(module) for module in modules)
            for attack in attacks(column, profile):
                assert isinstance(attack, Natural) is not column.adversarial
                assert any(canonical_attack(attack, module) for module in modules)


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_measures_are_valid_in_every_row(study: Study, profile: Profile) -> None:
    configs = trials(study, profile)
    for arm in study.arms(profile):
        shown = [column.measure for column in study.columns_of(arm, profile) if isinstance(column, Measured)]
        shown += [panel.measure for panel in study.panels_of(arm, profile)]
        for settings in shown:
            assert canonical_measure(measure(settings, profile), configs[arm.labels])


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_epochs_are_shown_by_what_is_recorded_of_them(study: Study) -> None:
    assert set(study.by_epoch) <= BY_EPOCH


# AFD's data sets have an eps each, which test_afd_studies.py tests.
@pytest.mark.parametrize(("study", "profile"), [case for case in CASES if case.values[0].paper != "afd"])
def test_every_attack_has_the_eps_of_the_profile(study: Study, profile: Profile) -> None:
    for config in trials(study, profile).values():
        for attack in (config.attack, config.selection.attack):
            assert getattr(attack, "eps", profile.eps) == profile.eps
        if not isinstance(config.selection.attack, Natural):
            quarter = profile.name == "demo" or (study.paper, profile.name) == ("cas", "paper")
            assert config.selection.attack.step == pytest.approx(profile.eps / (4 if quarter else 10))
            assert config.selection.attack.start == "zero"
        assert (config.selection.split, config.data.validation > 0) == (
            ("test", False) if profile.name == "paper" else ("validation", True)
        )
    if study.name not in OVER_EPS:
        for column in study.columns:
            for attack in every_attack(column, profile):
                assert getattr(attack, "attack", attack).eps == profile.eps


@pytest.mark.parametrize("paper", PAPERS)
def test_the_space_can_be_searched(paper: Any) -> None:
    assert len({factor.name for factor in paper.SPACE}) == len(paper.SPACE)
    for factor in paper.SPACE:
        if isinstance(factor.distribution, CategoricalDistribution):
            assert list(factor.distribution.choices) == [level.label for level in factor.levels]
        else:
            (field,) = factor.fields  # a sampled number sets a single field
            values = [level.settings[field] for level in factor.levels]
            assert factor.distribution.low <= min(values) <= max(values) <= factor.distribution.high


@pytest.mark.parametrize("paper", PAPERS)
def test_studies_vary_the_factors_of_the_space(paper: Any) -> None:
    others = {"network", "dataset", "stage", "defense", "objective", "module", "discriminator", "recipe"}
    fields = {factor.name: factor.fields for factor in paper.SPACE}
    for study in paper.STUDIES:
        assert all(fields[factor.name] == factor.fields for factor in study.factors if factor.name not in others)


@pytest.mark.parametrize(
    ("profiles", "rows", "there"),
    [
        ((), (), {("demo", "CAS"), ("demo", "AT"), ("paper", "CAS"), ("paper", "AT")}),
        (("demo",), (), {("demo", "CAS"), ("demo", "AT")}),
        ((), ("CAS", "SAP"), {("demo", "CAS"), ("paper", "CAS")}),
        (("demo",), ("CAS",), {("demo", "CAS")}),
        ((), ("demo",), set()),  # a profile's name is no label
    ],
)
def test_a_column_is_in_its_profiles_and_rows(
    profiles: tuple[str, ...], rows: tuple[str, ...], there: set[tuple[str, str]]
) -> None:
    column = Cost("an epoch", profiles=profiles, rows=rows)
    found = {(p, label) for p in ("demo", "paper") for label in ("CAS", "AT") if column.is_in(p, ("CIFAR-10", label))}
    assert found == there
