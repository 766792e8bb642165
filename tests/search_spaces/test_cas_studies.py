"""CAS's studies say what the paper says."""

from collections.abc import Iterable
from typing import Any

import pytest

from orchestrator.planning.expansion import plan
from orchestrator.planning.settings import resolve
from search_spaces.catalog import STUDIES
from search_spaces.column import Column
from search_spaces.papers import cas
from search_spaces.papers.cas.space import PROFILES as PROFILES_OF_CAS
from search_spaces.profiles import ATTACKS, activations
from search_spaces.settings import SourceSettings
from tests.support.expanded_studies import configured, named
from trainables.config import trial_key

PROFILES = ("paper", "short", "demo")


def one(rows: Iterable[tuple[str, tuple[str, ...]]], profile: str) -> bool:
    """Whether rows of several tables are one training."""
    return len({trial_key(named(name, *labels, profile=profile)) for name, labels in rows}) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_cas_is_one_training_in_every_table(profile: str) -> None:
    data = () if profile == "demo" else ("CIFAR-10",)
    network = () if profile == "demo" else ("ResNet-18",)
    with_cas = [
        ("cas/table-1", ("CAS",)),
        ("cas/table-2", ("with suppressing",)),
        ("cas/table-3", ("Block4",)),
        *((f"cas/table-{table}", ("AT", "CAS")) for table in (4, 11, 12)),
        *((f"cas/table-{table}", (*data, "AT", "CAS")) for table in (5, 6, 10)),
        ("cas/table-13", ("AT",)),
        ("cas/figure-2", ("CAS",)),
        ("cas/figure-4", ("CAS",)),
        ("cas/figure-8", ("β = 2",)),
        ("cas/figure-9", ("ADV", "CAS")),
        ("cas/figure-10", ("CAS",)),
    ]
    without = [
        ("cas/table-2", ("AT",)),
        *((f"cas/table-{table}", ("AT", "Vanilla")) for table in (4, 11, 12)),
        *((f"cas/table-{table}", (*data, "AT", "Vanilla")) for table in (5, 6, 10)),
        ("cas/figure-1", (*network, "ADV")),
        ("cas/figure-2", ("ADV",)),
        ("cas/figure-8", ("β = 0",)),
        ("cas/figure-9", ("ADV", "Vanilla")),
        ("cas/figure-10", ("Vanilla",)),
    ]
    assert one(with_cas, profile)
    assert one(without, profile)
    assert named("cas/figure-8", "β = 0", profile=profile).module.name == "none"


@pytest.mark.parametrize("profile", PROFILES)
def test_other_trainings_of_cas_are_shared_too(profile: str) -> None:
    data = [()] if profile == "demo" else [("SVHN",), ("CIFAR-10",)]
    network = () if profile == "demo" else ("ResNet-18",)
    for objective in ("TRADES", "MART"):
        for module in ("Vanilla", "CAS"):
            row = (objective, module)
            assert one([*((f"cas/table-{t}", (*data[-1], *row)) for t in (5, 6, 10)), ("cas/figure-5", row)], profile)
    for where in data:
        assert one([(f"cas/table-{t}", (*where, "AT", "CAS")) for t in (5, 6, 10)], profile)
    assert one([("cas/figure-6", ("CAS",)), ("cas/table-5", (*data[0], "AT", "CAS"))], profile)
    assert one([("cas/figure-1", (*network, "STD")), ("cas/figure-2", ("STD",)), ("cas/figure-9", ("STD", "Vanilla"))], profile)
    assert one([("cas/table-1", ("PCL",)), ("cas/figure-4", ("PCL",))], profile)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("cas/table-5", ("CIFAR-10", "AT", "CAS"), ("cifar10", "resnet-18", 0.1, 2e-4, 2 / 255)),
        ("cas/table-5", ("CIFAR-10", "MART", "Vanilla"), ("cifar10", "resnet-18", 0.1, 2e-4, 2 / 255)),
        ("cas/table-5", ("SVHN", "TRADES", "CAS"), ("svhn", "resnet-18", 0.01, 5e-4, 1 / 255)),
        ("cas/table-8", ("AT", "CAS"), ("cifar10", "wrn-34", 0.1, 5e-4, 2 / 255)),
        ("cas/table-9", ("AT", "CAS"), ("cifar10", "vgg-16-bn-all", 0.1, 2e-4, 2 / 255)),
    ],
)
def test_cas_trains_as_the_paper_says(name: str, labels: tuple[str, ...], expected: tuple[Any, ...]) -> None:
    config = named(name, *labels)
    dataset, model, lr, weight_decay, step = expected
    assert (config.data.dataset, config.model.name) == (dataset, model)
    assert (config.training.lr, config.training.weight_decay) == (lr, weight_decay)
    assert (config.training.epochs, config.training.schedule.milestones) == (200, (75, 90))
    assert config.attack is not None
    assert (config.attack.iterations, config.attack.step) == (10, pytest.approx(step))


def test_cas_stands_where_the_paper_puts_it() -> None:
    assert named("cas/table-3", "Block4").module.positions == ("block4.1", "block4.2")
    assert named("cas/table-3", "Block3+4").module.positions == ("block3.1", "block3.2", "block4.1", "block4.2")
    wide, vgg = named("cas/table-8", "AT", "CAS"), named("cas/table-9", "AT", "CAS")
    assert (wide.module.positions, wide.module.beta, wide.model.width) == (("block3.4", "block3.5"), 2.0, 160)
    assert (vgg.module.positions, vgg.module.beta) == (("block5.1", "block5.2", "block5.3"), 3.0)
    assert named("cas/table-2", "without suppressing").module.suppression is False


def test_defenses_of_activations() -> None:
    configs = {label: named("cas/table-1", label) for label in ("kWTA", "SAP", "PCL", "CAS")}
    assert configs["kWTA"].module.ratio == 0.2
    assert configs["PCL"].attack is None
    assert all(configs[label].objective.name == "at" for label in ("kWTA", "SAP", "CAS"))


@pytest.mark.parametrize(("name", "data"), [("cas/table-5", ("CIFAR-10",)), ("cas/table-6", ("SVHN",)), ("cas/figure-5", ())])
def test_other_objectives_have_the_weights_of_their_own_papers(name: str, data: tuple[str, ...]) -> None:
    trades, mart = (named(name, *data, objective, "CAS") for objective in ("TRADES", "MART"))
    assert (trades.objective.name, trades.objective.lam) == ("trades", 6)
    assert (trades.attack.loss, trades.attack.start) == ("kl", "gaussian")
    assert (mart.objective.name, mart.objective.lam) == ("mart", 5)


def test_natural_training_is_on_natural_images() -> None:
    for name, labels in [("cas/figure-6", ("STD",)), ("cas/figure-9", ("STD", "CAS"))]:
        config = named(name, *labels)
        assert (config.objective.name, config.attack) == ("standard", None)
    assert named("cas/figure-9", "STD", "CAS").module.name == "cas"


def test_table_13_rises_from_2_to_32() -> None:
    study = STUDIES["cas/table-13"]
    found = [resolve(c.attack, 8 / 255) for c in study.columns if isinstance(c, Column)]
    assert [255 * fields["eps"] for fields in found] == pytest.approx([2, 4, 8, 16, 32])
    assert [fields["eps"] / fields["step"] for fields in found] == pytest.approx([10] * 5)


def test_cas_is_attacked_as_the_paper_says() -> None:
    paper = STUDIES["cas/table-4"].profiles["paper"]
    for arm in STUDIES["cas/table-4"].arms(paper):
        head, beta_atk = ("1", "inf-1") if arm.labels[1] == "CAS" else ("final", "own")
        natural, *attacked = STUDIES["cas/table-4"].columns_of(arm, paper)
        assert isinstance(natural, Column)
        assert [natural.head, *(column.head for column in attacked if isinstance(column, Column))] == [head] * 4
        assert all(isinstance(column, Column) and column.beta_atk == (beta_atk,) for column in attacked)
    found = [c.beta_atk for c in STUDIES["cas/table-12"].columns if isinstance(c, Column)]
    assert found == [("0",), ("inf-1",), ("own",)]
    for study in cas.STUDIES:
        if study.name not in {"cas/table-4", "cas/table-6", "cas/table-12"}:
            assert all(column.beta_atk == ("own",) for column in study.columns if isinstance(column, Column))


def test_black_box_attacks_come_from_a_natural_resnet_50() -> None:
    """On SVHN at SVHN's recipe (section 5.2), as the networks that it attacks."""
    *transferred, nattack, _ = STUDIES["cas/table-6"].columns
    rates = {("SVHN",): (0.01, 5e-4), ("CIFAR-10",): (None, None), (): (None, None)}
    for column in transferred:
        assert isinstance(column, Column)
        source = column.attack["source"]
        assert isinstance(source, SourceSettings)
        assert source.settings.items() >= {"objective.name": "standard", "attack": None, "model.name": "resnet-50"}.items()
        recipe = tuple(source.settings.get(f"training.{field}") for field in ("lr", "weight_decay"))
        assert recipe == rates[column.rows]
    made = plan([STUDIES["cas/table-6"]], "paper", seeds=1)
    sources = {c.data.dataset: (c.training.lr, c.training.weight_decay) for c in (t.config for t in made.trials) if c.seed}
    assert sources == {"svhn": (0.01, 5e-4), "cifar10": (0.1, 2e-4)}
    assert isinstance(nattack, Column)
    assert (nattack.attack["queries"], nattack.attack["examples"]) == (20_000, 1000)


def test_channels_are_looked_at_in_class_0_above_1_percent() -> None:
    for figure in (2, 4, 5, 6):
        found = [panel.measure for panel in STUDIES[f"cas/figure-{figure}"].panels]
        assert found == [activations(0), activations(0, "PGD-20")]
    assert activations(0, "PGD-20") == {"name": "activations", "attack": ATTACKS["PGD-20"], "label": 0, "threshold": 0.01}
    assert {p.measure["threshold"] for p in STUDIES["cas/figure-10"].panels} == {0.005, 0.01, 0.05}


def test_data_sets_become_one_in_the_demo() -> None:
    study = STUDIES["cas/table-5"]
    assert [factor.name for factor in study.varied(study.profiles["demo"])] == ["objective", "module"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cas/table-2", [("AT",), ("without suppressing",), ("with suppressing",)]),
        ("cas/table-3", [("Block2",), ("Block3",), ("Block4",), ("Block3+4",)]),
        (
            "cas/table-5",
            [(d, o, m) for d in ("SVHN", "CIFAR-10") for o in ("AT", "TRADES", "MART") for m in ("Vanilla", "CAS")],
        ),
        ("cas/figure-8", [(f"β = {beta}",) for beta in ("0", "0.5", "1", "2", "5", "10", "20")]),
    ],
)
def test_rows_come_in_the_papers_order(name: str, expected: list[tuple[str, ...]]) -> None:
    assert [arm.labels for arm in STUDIES[name].arms(STUDIES[name].profiles["paper"])] == expected


def test_every_level_of_the_space_is_a_training() -> None:
    for factor in cas.SPACE:
        for level in factor.levels:
            configured(PROFILES_OF_CAS["paper"], cas.CAS, level.settings)
