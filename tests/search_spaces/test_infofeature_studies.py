"""InfoFeature's studies have what the paper says."""

import pytest

from search_spaces.column import Column, Measured
from search_spaces.papers import infofeature
from search_spaces.settings import SourceSettings
from tests.support.expanded_studies import configured, every_attack, measure, named, trials
from trainables.config import Natural, TrialConfig, is_prefix, trial_key

PROFILES = ("paper", "short", "demo")
BY_SLUG = {study.name.split("/")[1]: study for study in infofeature.STUDIES}
ON_RESNET = ("table-1", "table-2", "table-5", "figure-3", "figure-4", "lambda", "iterations")
ON_WRN = ("table-3", "table-4", "table-6")


def rows(slug: str, profile: str = "paper") -> dict[str, TrialConfig]:
    return {labels[0]: c for labels, c in trials(BY_SLUG[slug], BY_SLUG[slug].profiles[profile]).items()}


@pytest.mark.parametrize("profile", PROFILES)
def test_what_stands_in_several_tables_is_one_trial(profile: str) -> None:
    table_1, table_3 = rows("table-1", profile), rows("table-3", profile)
    for slug in ("table-2", "figure-3", "figure-4"):
        assert rows(slug, profile).items() <= table_1.items()
    assert rows("table-6", profile).items() <= table_3.items()
    assert rows("lambda", profile)["λ = 0"] == table_1["Madry"]
    assert rows("lambda", profile)["λ = 0.1"] == table_1["InfoFeature"]


def test_iterations_vary_in_the_demo_too() -> None:
    assert rows("iterations")["iterations = 7"] == rows("table-1")["InfoFeature"]
    assert [c.attack.iterations for c in rows("iterations", "demo").values()] == [1, 3, 5, 7, 10]
    assert rows("table-1", "demo")["InfoFeature"].attack.iterations == rows("table-1", "demo")["Madry"].attack.iterations == 2


@pytest.mark.parametrize("slug", BY_SLUG)
def test_training_is_that_of_section_4(slug: str) -> None:
    assert BY_SLUG[slug].checkpoint == "best"
    wide = slug in ON_WRN
    for label, config in rows(slug).items():
        assert config.model.normalise
        assert (config.model.name, config.model.width) == (("wrn-28", 160) if wide else ("resnet-18", 64))
        assert (config.training.epochs, config.training.weight_decay) == (200 if wide else 120, 2e-4)
        scattering = "FeaScatter" in label
        assert config.training.schedule.milestones == ((61, 91) if scattering else (60, 90))
        assert config.training.batch_size == (60 if scattering else 128)
        assert config.training.lr == (0.01 if slug == "table-5" else 0.1)
        assert config.training.patience is None
        assert (config.data.crop, config.data.flip) == (4, slug != "table-5")
        if hasattr(config.attack, "step") and slug != "iterations":
            assert (config.attack.eps, config.attack.step, config.attack.iterations) == (8 / 255, 2 / 255, 7)
            assert config.attack.bn == "eval"


def test_data_sets() -> None:
    assert {slug: rows(slug)["Madry"].data.dataset for slug in ("table-1", "table-3", "table-4", "table-5")} == {
        "table-1": "cifar10",
        "table-3": "cifar10",
        "table-4": "cifar100",
        "table-5": "svhn",
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_defenses(profile: str) -> None:
    found = rows("table-1", profile)
    assert {label: (c.objective.name, c.attack.name if c.attack else None) for label, c in found.items()} == {
        "Standard": ("standard", None),
        "Madry": ("at", "pgd"),
        "ALP (0.1)": ("alp", "pgd"),
        "FM (10)": ("feature-matching", "pgd"),
        "FeaScatter": ("at", "feature-scattering"),
        "AdvInterp": ("at", "adversarial-interpolation"),
        "InfoFeature": ("at", "infofeature"),
    }
    assert (found["ALP (0.1)"].objective.weight, found["FM (10)"].objective.weight) == (0.1, 10)
    assert (found["InfoFeature"].attack.lam, found["InfoFeature"].attack.distance) == (0.1, "l2")


@pytest.mark.parametrize(("slug", "smooth"), [("table-1", 0.0), ("table-3", 0.5), ("table-4", 0.5), ("table-5", 0.5)])
def test_labels_are_smoothed_in_adversarial_training_of_section_4_2(slug: str, smooth: float) -> None:
    smoothing = {label: getattr(config.objective, "label_smoothing", 0) for label, config in rows(slug).items()}
    assert smoothing["Madry"] == smoothing["InfoFeature"] == smooth
    assert smoothing["FeaScatter"] == 0.5  # its own
    assert smoothing["Standard"] == smoothing["AdvInterp"] == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_a_standard_network_is_chosen_by_its_natural_accuracy(profile: str) -> None:
    for slug in ("table-1", "table-3"):
        natural = {label for label, c in rows(slug, profile).items() if isinstance(c.selection.attack, Natural)}
        assert natural == {"Standard"}


def test_attacks_of_the_tables() -> None:
    study = BY_SLUG["table-1"]
    found = {c.label: every_attack(c, study.profiles["paper"]) for c in study.columns if isinstance(c, Column)}
    (short,), (long,), (margin,) = found["PGD-7"], found["PGD-20"], found["CW-20"]
    assert (short.iterations, short.step, short.start, short.restarts) == (7, 2 / 255, "uniform", 1)
    assert is_prefix(short, long)
    assert (margin.name, margin.iterations, margin.step) == ("cw", 20, 2 / 255)


@pytest.mark.parametrize("profile", PROFILES)
def test_table_2_is_against_pgd_of_as_many_iterations(profile: str) -> None:
    study = BY_SLUG["table-2"]
    for column in study.columns:
        assert isinstance(column, Measured)
        spec = measure(column.measure, study.profiles[profile])
        assert column.array == "distance"
        assert column.label.startswith(f"{spec.reference.iterations}-iter ")
        assert spec.reference.name == "pgd"
        made = getattr(spec.attack, "attack", spec.attack)
        assert getattr(made, "iterations", 1) == spec.reference.iterations


@pytest.mark.parametrize("profile", PROFILES)
def test_table_6_transfers_from_the_networks_of_table_1(profile: str) -> None:
    study = BY_SLUG["table-6"]
    transferred = [c.attack for c in study.columns if isinstance(c, Column) and c.attack["name"] == "transfer"]
    assert len(transferred) == 4
    for attack, label in zip(transferred, ("Standard", "Standard", "Madry", "Madry"), strict=True):
        source = attack["source"]
        assert isinstance(source, SourceSettings)
        config = configured(study.profiles[profile], source.settings)
        assert trial_key(config) == trial_key(named("infofeature/table-1", label, profile=profile))
        assert attack["checkpoint"] == "best"
