"""Every study, in every profile, makes trials and attacks that the trainables accept."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution
from pydantic import TypeAdapter

from orchestrator.settings import configure, resolve
from search_spaces import afd, cas, cifs
from search_spaces.catalog import STUDIES
from search_spaces.column import AnyColumn, Area, Column, Cost, Ensemble, Measured, Source
from search_spaces.factor import Eps, Settings
from search_spaces.study import Arm, Profile, Study
from trainables.config import Attack, Measure, Natural, TrialConfig, canonical_attack, canonical_measure, heads

CASES = [pytest.param(s, p, id=f"{s.name}-{p.name}") for s in STUDIES.values() for p in s.profiles.values()]
PROFILES = ("paper", "short", "demo")


def trial(study: Study, arm: Arm, profile: Profile) -> TrialConfig:
    layers = [resolve(settings, profile.eps) for settings in (profile.settings, study.fixed, arm.settings)]
    return configure(layers, resolve(profile.pins, profile.eps))[0]


def trials(study: Study, profile: Profile) -> dict[tuple[str, ...], TrialConfig]:
    return {arm.labels: trial(study, arm, profile) for arm in study.arms(profile)}


def plain(settings: Settings, eps: float) -> dict[str, Any]:
    """Resolved, with a key in the place of a source."""
    resolved = resolve(settings, eps)
    return {name: "0" * 16 if isinstance(value, Source) else value for name, value in resolved.items()}


def attacks(column: AnyColumn, profile: Profile) -> Iterator[Attack]:
    """Every attack that a column needs by itself."""
    tries: list[Mapping[str, Any]] = []
    if isinstance(column, Column):
        tries = [plain(column.attack, profile.eps)]
        if hasattr(TypeAdapter(Attack).validate_python(tries[0]), "beta_atk"):
            betas = profile.beta_atk if column.beta_atk is None else column.beta_atk
            tries = [{**tries[0], "beta_atk": beta} for beta in betas]
    elif isinstance(column, Area):
        points = [e.times * profile.eps if isinstance(e, Eps) else e for e in column.grid]
        assert points == sorted(set(points))
        assert points[0] > 0
        tries = [plain(column.attack, point) for point in points]
    elif isinstance(column, Cost) and column.attack:
        tries = [plain(column.attack, profile.eps)]
    return (TypeAdapter(Attack).validate_python(attack) for attack in tries)


def measures(study: Study, arm: Arm, profile: Profile) -> Iterator[Measure]:
    """Every measure that a row needs."""
    columns = [column.measure for column in study.columns_of(arm, profile) if isinstance(column, Measured)]
    for settings in (*columns, *(picture.measure for picture in study.pictures_of(arm, profile))):
        yield TypeAdapter(Measure).validate_python(resolve(settings, profile.eps))


def named(name: str, *labels: str, profile: str = "paper") -> TrialConfig:
    study = STUDIES[name]
    return trials(study, study.profiles[profile])[labels]


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
        assert labels
        assert len(set(labels)) == len(labels)
        assert all(set(column.of) <= set(labels) for column in columns if isinstance(column, Ensemble))
        pictures = [picture.label for picture in study.pictures_of(arm, profile)]
        assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_columns_of_one_label_are_of_one_kind(study: Study) -> None:
    kinds: dict[str, type] = {}
    for column in study.columns:
        assert kinds.setdefault(column.label, type(column)) is type(column)


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_attacks_are_valid_and_mean_something_in_some_row(study: Study, profile: Profile) -> None:
    modules: dict[int, list[Any]] = {}
    for arm in study.arms(profile):
        for i, column in enumerate(study.columns):
            if column in study.columns_of(arm, profile):
                modules.setdefault(i, []).append(trial(study, arm, profile).module)
    for i, there in modules.items():
        column = study.columns[i]
        for attack in attacks(column, profile):
            assert isinstance(attack, Natural) is (isinstance(column, Column) and not column.adversarial)
            assert any(canonical_attack(attack, module) for module in there)
        if isinstance(column, Column):
            assert any(column.head in heads(module) for module in there)


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_measures_are_valid(study: Study, profile: Profile) -> None:
    for arm in study.arms(profile):
        config = trial(study, arm, profile)
        assert all(canonical_measure(measure, config) for measure in measures(study, arm, profile))


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_sources_are_valid(study: Study, profile: Profile) -> None:
    for column in study.columns:
        if isinstance(column, Column) and isinstance(source := column.attack.get("source"), Source):
            layers = [resolve(settings, profile.eps) for settings in (profile.settings, source.settings)]
            assert configure(layers, resolve(profile.pins, profile.eps))


@pytest.mark.parametrize(
    ("study", "profile"),
    [case for case in CASES if case.values[0].paper in {"cas", "cifs"}],  # others have eps by data set
)
def test_every_attack_has_the_eps_of_the_profile(study: Study, profile: Profile) -> None:
    for config in trials(study, profile).values():
        assert config.attack is not None
        assert config.attack.eps == config.selection.attack.eps == profile.eps
        assert config.attack.step == profile.eps / (2 if profile.name == "demo" else 4)
        assert config.selection.attack.step == pytest.approx(profile.eps / (4 if profile.name == "demo" else 10))
    for column in study.columns:
        assert all(attack.eps == profile.eps for attack in attacks(column, profile) if not isinstance(attack, Natural))


@pytest.mark.parametrize("profile", PROFILES)
def test_cifs_as_the_paper_has_it_is_one_trial_in_every_table(profile: str) -> None:
    network = () if profile == "demo" else ("ResNet-18",)
    same = {
        named("cifs/table-1", *network, "CIFS", profile=profile),
        named("cifs/table-5", "top-2", profile=profile),
        named("cifs/table-b2", *network, "CIFS", profile=profile),
        named("cifs/table-b3", "CIFS", profile=profile),
        named("cifs/table-e1", "β = 2", profile=profile),
        named("cifs/table-e2", "P1-P2", profile=profile),
        named("cifs/table-e3", "MLP-Linear", profile=profile),
    }
    assert len(same) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_vanilla_is_one_trial_in_every_table(profile: str) -> None:
    network = () if profile == "demo" else ("ResNet-18",)
    same = {named(f"cifs/table-{table}", *network, "Vanilla", profile=profile) for table in ("1", "b2")}
    same |= {named(f"cifs/table-{table}", "Vanilla", profile=profile) for table in ("5", "b3", "e1", "e2", "e3")}
    assert len(same) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_cas_is_one_trial_in_every_table(profile: str) -> None:
    network = () if profile == "demo" else ("ResNet-18",)
    assert (
        named("cifs/table-1", *network, "CAS", profile=profile)
        == named("cifs/table-b2", *network, "CAS", profile=profile)
        == named("cifs/table-b3", "CAS", profile=profile)
    )
    assert named("cas/table-3", "Block4", profile=profile) == named("cas/figure-8", "β = 2", profile=profile)


def test_cas_in_the_cifs_paper_is_its_own_block4_on_resnet18() -> None:
    assert named("cifs/table-b3", "CAS").module == named("cas/table-3", "Block4").module


def test_beta_0_is_plain_adversarial_training() -> None:
    plain = named("cas/figure-8", "β = 0")
    assert plain.module.name == "none"
    assert plain.objective.name == "at"
    assert named("cas/figure-8", "β = 0", profile="demo") == named("cifs/table-e1", "Vanilla", profile="demo")


@pytest.mark.parametrize(
    ("name", "labels", "schedule"),
    [
        ("cifs/table-1", ("ResNet-18", "CIFS"), (120, 2e-4)),
        ("cifs/table-1", ("WRN-28-10", "CIFS"), (110, 5e-4)),
        ("cas/table-3", ("Block4",), (200, 2e-4)),
    ],
)
def test_paper_profile_has_the_papers_schedule(name: str, labels: tuple[str, ...], schedule: tuple[int, float]) -> None:
    config = named(name, *labels)
    assert (config.training.epochs, config.training.weight_decay) == schedule
    assert config.training.lr == 0.1
    assert config.training.schedule.milestones == (75, 90)
    assert config.data.dataset == "cifar10"
    assert config.attack == TrialConfig().attack
    assert config.selection == TrialConfig().selection


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("cifs/table-1", ("ResNet-18", "CIFS")),
        ("cifs/table-1", ("WRN-28-10", "CIFS")),
        ("cas/table-3", ("Block4",)),
    ],
)
def test_short_profile_shortens_the_training_and_keeps_the_network(name: str, labels: tuple[str, ...]) -> None:
    short, paper = named(name, *labels, profile="short"), named(name, *labels)
    assert (short.training.epochs, short.training.schedule.name, short.training.precision) == (30, "one-cycle", "bf16")
    assert (paper.training.schedule.name, paper.training.precision) == ("multistep", "fp32")
    assert (short.model, short.data, short.module) == (paper.model, paper.data, paper.module)
    assert short.training.weight_decay == paper.training.weight_decay


def test_networks_become_one_in_the_demo() -> None:
    study = STUDIES["cifs/table-1"]
    assert [factor.name for factor in study.varied(study.profiles["demo"])] == ["defense"]
    assert [arm.labels for arm in study.arms(study.profiles["demo"])] == [("Vanilla",), ("CAS",), ("CIFS",)]
    assert len(study.arms(study.profiles["paper"])) == 6


@pytest.mark.parametrize("name", ["cifs/table-1", "cifs/table-b3", "cas/table-3", "cas/figure-8"])
def test_rows_come_in_the_papers_order(name: str) -> None:
    study = STUDIES[name]
    expected = {
        "cifs/table-1": [(n, d) for n in ("ResNet-18", "WRN-28-10") for d in ("Vanilla", "CAS", "CIFS")],
        "cifs/table-b3": [("Vanilla",), ("CAS",), ("CIFS",)],
        "cas/table-3": [("Block2",), ("Block3",), ("Block4",), ("Block3+4",)],
        "cas/figure-8": [(f"β = {beta}",) for beta in ("0", "0.5", "1", "2", "5", "10", "20")],
    }
    assert [arm.labels for arm in study.arms(study.profiles["paper"])] == expected[name]


@pytest.mark.parametrize("paper", [cas, cifs, afd])
def test_the_space_can_be_searched(paper: Any) -> None:
    assert len({factor.name for factor in paper.SPACE}) == len(paper.SPACE)
    for factor in paper.SPACE:
        if isinstance(factor.distribution, CategoricalDistribution):
            assert list(factor.distribution.choices) == [level.label for level in factor.levels]
        else:
            (field,) = factor.fields  # what is drawn can only mean the one field
            values = [level.settings[field] for level in factor.levels]
            assert factor.distribution.low <= min(values) <= max(values) <= factor.distribution.high


@pytest.mark.parametrize("paper", [cas, cifs, afd])
def test_studies_vary_the_factors_of_the_space(paper: Any) -> None:
    beside = {"network", "defense", "dataset", "objective", "stage"}
    for study in paper.STUDIES:
        assert all(factor in paper.SPACE for factor in study.factors if factor.name not in beside)
