"""FSR's studies have what its supplement, and where that is silent its public code, says."""

from itertools import product

import pytest

from search_spaces.column import Column, Ensemble
from search_spaces.papers import fsr
from search_spaces.study import Study
from tests.support.expanded_studies import attacks, every_attack, named, trials
from trainables.config import Square, TrialConfig, is_prefix, trial_key

PROFILES = ("paper", "short", "demo")
FIGURES_S1 = {"fsr/figure-s1a": "τ = 0.1", "fsr/figure-s1b": "λ_sep = 1", "fsr/figure-s1c": "λ_rec = 1"}
BY_NAME = {study.name: study for study in fsr.STUDIES}


def paper(study: Study) -> dict[tuple[str, ...], TrialConfig]:
    return trials(study, study.profiles["paper"])


@pytest.mark.parametrize("profile", PROFILES)
def test_fsr_as_the_paper_has_it_is_one_trial_in_every_table(profile: str) -> None:
    rows = {
        "fsr/table-s4": "Block4",
        "fsr/table-s5": "Mispredicted",
        "fsr/table-s6": "Gumbel",
        "fsr/table-s7": "w/ Separation",
        **FIGURES_S1,
        "fsr/figure-s2a": "FSR",
        "fsr/figure-s2b": "FSR",
    }
    assert len({trial_key(named(name, label, profile=profile)) for name, label in rows.items()}) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_adversarial_training_is_one_trial_in_every_table(profile: str) -> None:
    rows = {"fsr/table-s5": "AT", "fsr/figure-s2a": "Vanilla", "fsr/figure-s2b": "Vanilla"}
    assert len({trial_key(named(name, label, profile=profile)) for name, label in rows.items()}) == 1


@pytest.mark.parametrize("study", fsr.STUDIES, ids=BY_NAME)
def test_training_is_that_of_the_public_code(study: Study) -> None:
    for config in paper(study).values():
        training, attack = config.training, config.attack
        assert (training.epochs, training.lr, training.weight_decay, training.batch_size) == (100, 0.1, 5e-4, 128)
        assert training.schedule.milestones == (75, 90)
        assert (attack.name, attack.eps, attack.step, attack.iterations) == ("pgd", 8 / 255, 2 / 255, 10)
        assert study.checkpoint == "last"


@pytest.mark.parametrize(
    ("table", "dataset", "network", "last"),
    [
        ("s1", "cifar100", ("resnet-18", 64), "block4.2"),
        ("s2", "tiny-imagenet", ("resnet-18", 64), "block4.2"),
        ("s3", "cifar10", ("wrn-34", 160), "block3.5"),
    ],
)
def test_data_sets_and_networks(table: str, dataset: str, network: tuple[str, int], last: str) -> None:
    rows = paper(BY_NAME[f"fsr/table-{table}"])
    assert list(rows) == list(product(("AT", "TRADES", "MART"), ("Vanilla", "FSR")))
    for (objective, module), config in rows.items():
        assert (config.data.dataset, config.model.name, config.model.width) == (dataset, *network)
        assert config.objective.name == objective.lower()
        assert (config.module.name, config.module.positions) == (("fsr", (last,)) if module == "FSR" else ("none", ()))


def test_a_module_stands_behind_the_last_block_of_a_stage() -> None:
    positions = {labels[0]: config.module.positions for labels, config in paper(BY_NAME["fsr/table-s4"]).items()}
    assert positions == {
        **{f"Block{b}": (f"block{b}.2",) for b in (1, 2, 3, 4)},
        "Block3+4": ("block3.2", "block4.2"),
    }


@pytest.mark.parametrize("name", ["fsr/table-s4", "fsr/table-s5", "fsr/table-s6", "fsr/table-s7", *FIGURES_S1])
def test_a_study_of_one_choice_changes_nothing_else(name: str) -> None:
    ours = paper(BY_NAME["fsr/figure-s2a"])["FSR",].model_dump()
    (factor,) = BY_NAME[name].factors
    changed = {field.removeprefix("module.") for field in factor.fields}
    for labels, config in paper(BY_NAME[name]).items():
        other = config.model_dump()
        if labels != ("AT",):
            assert {field for field, value in ours["module"].items() if other["module"][field] != value} <= changed
        assert {**other, "module": None} == {**ours, "module": None}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_attack_is_on_the_final_prediction(profile: str) -> None:
    for study in fsr.STUDIES:
        for column in study.columns:
            if isinstance(column, Column) and column.adversarial:
                assert column.beta_atk == ("own",)  # which is 0 with this module
    assert trials(BY_NAME["fsr/table-s4"], BY_NAME["fsr/table-s4"].profiles[profile])["Block4",].module.beta == 0


def test_the_ensemble_is_of_the_four_white_box_attacks() -> None:
    ensembles = [c for study in fsr.STUDIES for c in study.columns if isinstance(c, Ensemble)]
    assert len(ensembles) == 7 + 3
    assert {c.of for c in ensembles} == {("FGSM", "PGD-20", "PGD-100", "C&W")}


@pytest.mark.parametrize("profile", PROFILES)
def test_shorter_pgd_is_the_beginning_of_the_longest(profile: str) -> None:
    study = BY_NAME["fsr/figure-s2a"]
    *shorter, longest = [attacks(c, study.profiles[profile])[0] for c in study.columns if isinstance(c, Column)]
    assert all(is_prefix(attack, longest) for attack in shorter)
    table = BY_NAME["fsr/table-s4"]
    assert longest in [attack for c in table.columns for attack in every_attack(c, table.profiles[profile])]


@pytest.mark.parametrize("profile", PROFILES)
def test_eps_rises_until_nothing_is_left(profile: str) -> None:
    study = BY_NAME["fsr/figure-s2b"]
    found = [attack for c in study.columns for attack in every_attack(c, study.profiles[profile])]
    budgets = [attack.eps for attack in found if not isinstance(attack, Square)]
    assert budgets == sorted(budgets)
    assert budgets[-1] == 1
    assert budgets[2] == study.profiles[profile].eps
