"""CIFS's studies say what the paper says."""

from collections.abc import Iterable
from typing import Any

import pytest

from orchestrator.planning.settings import resolve
from search_spaces.catalog import STUDIES
from search_spaces.column import Column
from search_spaces.papers import cifs
from search_spaces.papers.cifs.space import PROFILES as PROFILES_OF_CIFS
from search_spaces.settings import Settings
from tests.support.expanded_studies import configured, named
from trainables.config import CIFS, Sigmoid, trial_key

PROFILES = ("paper", "short", "demo")


def one(rows: Iterable[tuple[str, tuple[str, ...]]], profile: str) -> bool:
    """Whether rows of several tables are one training."""
    return len({trial_key(named(name, *labels, profile=profile)) for name, labels in rows}) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_cifs_its_rival_and_vanilla_are_one_training_in_every_table(profile: str) -> None:
    network = () if profile == "demo" else ("ResNet-18",)
    main = [("cifs/table-1", network), ("cifs/table-b1", network), ("cifs/table-b2", network), ("cifs/table-b3", ())]
    chosen = {"5": "top-2", "e1": "β = 2", "e2": "P1-P2", "e3": "MLP-Linear"}
    pair = ["cifs/cost", "cifs/figure-4"]
    by_imgf = ["cifs/figure-3", "cifs/figure-a1"]
    assert one(
        [
            *((name, (*where, "CIFS")) for name, where in main),
            *((f"cifs/table-{table}", (label,)) for table, label in chosen.items()),
            *((name, ("CIFS",)) for name in pair),
            *((name, ("softmax",)) for name in by_imgf),
            ("cifs/table-b4", ("AT", "CIFS")),
        ],
        profile,
    )
    assert one(
        [
            *((name, (*where, "Vanilla")) for name, where in main),
            *((f"cifs/table-{table}", ("Vanilla",)) for table in (4, *chosen)),
            *((name, ("Vanilla",)) for name in (*pair, *by_imgf)),
            ("cifs/table-b4", ("AT", "Vanilla")),
            ("cifs/figure-1", ("AT",)),
        ],
        profile,
    )
    assert one([(name, (*where, "CAS")) for name, where in main], profile)
    for defense in ("Vanilla", "CAS", "CIFS"):
        assert one([(f"cifs/table-{table}", (defense,)) for table in ("2", "c1", "c2")], profile)
    for module in ("Vanilla", "CIFS"):
        assert one([("cifs/table-3", (*network, module)), ("cifs/table-b4", ("FAT", module))], profile)


def test_cas_in_the_cifs_paper_is_its_own_block4_on_resnet18() -> None:
    assert named("cifs/table-b3", "CAS").module == named("cas/table-3", "Block4").module


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("cifs/table-1", ("ResNet-18", "CIFS"), ("cifar10", "resnet-18", 120, 0.1, 2e-4)),
        ("cifs/table-1", ("WRN-28-10", "CIFS"), ("cifar10", "wrn-28", 110, 0.1, 5e-4)),
        ("cifs/table-3", ("WRN-28-10", "Vanilla"), ("cifar10", "wrn-28", 110, 0.1, 5e-4)),
        ("cifs/table-2", ("CAS",), ("svhn", "resnet-18", 120, 0.01, 5e-4)),
        ("cifs/table-b4", ("TRADES", "CIFS"), ("cifar10", "resnet-18", 120, 0.1, 2e-4)),
    ],
)
def test_cifs_trains_as_the_paper_says(name: str, labels: tuple[str, ...], expected: tuple[Any, ...]) -> None:
    config = named(name, *labels)
    dataset, model, epochs, lr, weight_decay = expected
    assert (config.data.dataset, config.model.name) == (dataset, model)
    assert (config.training.epochs, config.training.lr, config.training.weight_decay) == (epochs, lr, weight_decay)
    friendly = config.attack is not None and config.attack.name == "friendly"
    assert config.training.schedule.milestones == ((60, 90, 110) if friendly else (76, 91))
    assert config.training.schedule.gamma == ((0.1, 0.1, 0.5) if friendly else (0.1,))
    assert config.attack is not None
    assert (config.attack.iterations, config.attack.step) == (10, pytest.approx(2 / 255))
    attack = config.selection.attack
    assert (config.selection.split, attack.name, attack.iterations, attack.start) == ("test", "pgd", 20, "zero")
    assert attack.step == pytest.approx(0.8 / 255)


def test_fashion_mnist_has_an_eps_of_its_own() -> None:
    study = STUDIES["cifs/table-d1"]
    config = named("cifs/table-d1", "CIFS")
    assert (config.data.dataset, config.model.name, config.data.crop, config.data.flip) == (
        "fashion-mnist",
        "resnet-10",
        0,
        False,
    )
    assert config.attack is not None
    assert (config.attack.eps, config.attack.iterations, config.attack.step) == (0.3, 20, pytest.approx(0.02))
    assert (config.training.epochs, config.training.schedule.milestones) == (120, (46, 76, 91))
    found = [resolve(c.attack, study.profiles["paper"].eps) for c in study.columns if isinstance(c, Column)]
    assert [fields.get("eps") for fields in found] == [None, 0.3, 0.3, 0.3]
    assert [fields.get("step") for fields in found] == [None, None, pytest.approx(0.01), pytest.approx(0.02)]
    assert one([("cifs/table-d1", ("CIFS",)), ("cifs/table-1", ("CIFS",))], "demo")


def test_friendly_training_grows_harder_in_every_profile() -> None:
    for profile, begin in {"paper": (51, 91), "short": (13, 23), "demo": (9, 16)}.items():
        config = named("cifs/table-b4", "FAT", "CIFS", profile=profile)
        assert config.attack is not None
        assert (config.attack.name, config.attack.taus, config.attack.milestones) == ("friendly", (0, 1, 2), begin)
        assert begin[-1] < config.training.epochs


def test_masks_have_the_papers_constants() -> None:
    assert named("cifs/figure-3", "sigmoid").module.imgf == Sigmoid(alpha=10.0)
    assert named("cifs/figure-3", "softplus").module.imgf.alpha == 5.0
    assert named("cifs/figure-3", "softmax").module.imgf.T == 1.0


def test_papers_share_what_differs_in_epochs_alone() -> None:
    assert one([("cas/table-2", ("AT",)), ("cifs/table-b3", ("Vanilla",))], "short")


def test_figures_of_classes_look_at_each() -> None:
    for profile, labels in (("paper", ["PGD-20 (cat)", "PGD-20 (deer)"]), ("demo", ["PGD-20 (digit 3)", "PGD-20 (digit 4)"])):
        study, there = STUDIES["cifs/figure-a1"], STUDIES["cifs/figure-a1"].profiles[profile]
        for arm in study.arms(there):
            found = [column for column in study.columns_of(arm, there) if isinstance(column, Column)]
            assert [column.only for column in found] == list(range(10))
            assert [column.label for column in found[3:5]] == labels
    assert {panel.measure["label"] for panel in STUDIES["cifs/figure-1"].panels} == {1, 3}
    assert len(STUDIES["cifs/figure-3"].panels) == 2 * 10


def test_autoattack_is_tried_with_every_joint_loss_on_2000_images() -> None:
    for table in ("b1", "c1"):
        column, _ = STUDIES[f"cifs/table-{table}"].columns
        assert isinstance(column, Column)
        assert (column.attack["version"], column.attack["examples"], column.beta_atk) == ("apgd-square", 2000, None)


def test_every_level_of_the_space_is_a_training() -> None:
    for factor in cifs.SPACE:
        for level in factor.levels:
            # A constant belongs to some of the masks only.
            mask: Settings = {"module.imgf.name": "sigmoid"} if "module.imgf.alpha" in level.settings else {}
            configured(PROFILES_OF_CIFS["paper"], cifs.SEARCHED, mask, level.settings)


@pytest.mark.parametrize(
    ("name", "label", "depths"),
    [
        ("cifs/table-e2", "P1", {"block4.2": 0}),
        ("cifs/table-e2", "P2", {"block4.1": 1}),
        ("cifs/table-e2", "P1-P2", {"block4.1": 1, "block4.2": 0}),
        ("cifs/table-e3", "Linear-Linear", {"block4.1": 0, "block4.2": 0}),
        ("cifs/table-e3", "MLP-Linear", {"block4.1": 1, "block4.2": 0}),
    ],
)
def test_the_probe_of_the_last_block_is_linear_and_that_before_it_an_mlp_of_one_hidden_layer(
    name: str, label: str, depths: dict[str, int]
) -> None:
    """Section 4.1 and appendices E.3 and E.4; the searched space starts from the same modules."""
    module = named(name, label).module
    assert isinstance(module, CIFS)
    assert (dict(zip(module.positions, module.depth, strict=True)), module.hidden) == (depths, 128)
    assert configured(PROFILES_OF_CIFS["paper"], cifs.SEARCHED) == configured(PROFILES_OF_CIFS["paper"], cifs.CIFS)


def test_normal_training_is_on_natural_images() -> None:
    config = named("cifs/figure-1", "Normal")
    assert (config.objective.name, config.attack) == ("standard", None)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("cifs/table-1", ("ResNet-18", "CIFS")),
        ("cifs/table-1", ("WRN-28-10", "CIFS")),
    ],
)
def test_short_profile_shortens_the_training_and_keeps_the_network(name: str, labels: tuple[str, ...]) -> None:
    short, paper = named(name, *labels, profile="short"), named(name, *labels)
    assert (short.training.epochs, short.training.schedule.name, short.training.precision) == (30, "one-cycle", "bf16")
    assert (paper.training.schedule.name, paper.training.precision) == ("multistep", "fp32")
    assert short.model == paper.model
    assert short.data == paper.data.model_copy(update={"validation": 0.02})
    if labels[-1] == "CIFS":
        assert (short.module.training_top, paper.module.training_top) == ("distinct", "as-code")
        assert short.module == paper.module.model_copy(update={"training_top": "distinct"})
    else:
        assert short.module == paper.module
    assert short.training.weight_decay == paper.training.weight_decay


def test_networks_become_one_in_the_demo() -> None:
    study = STUDIES["cifs/table-1"]
    assert [factor.name for factor in study.varied(study.profiles["demo"])] == ["defense"]
    assert [arm.labels for arm in study.arms(study.profiles["demo"])] == [("Vanilla",), ("CAS",), ("CIFS",)]
    assert len(study.arms(study.profiles["paper"])) == 6


def test_rows_come_in_the_papers_order() -> None:
    rows = [arm.labels for arm in STUDIES["cifs/table-1"].arms(STUDIES["cifs/table-1"].profiles["paper"])]
    assert rows == [(n, d) for n in ("ResNet-18", "WRN-28-10") for d in ("Vanilla", "CAS", "CIFS")]
