"""Every study, in every profile, makes trials, attacks and measures that the trainables accept."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution
from pydantic import TypeAdapter

from orchestrator.settings import configure, resolve
from search_spaces import cas, cifs
from search_spaces.catalog import STUDIES
from search_spaces.column import AnyColumn, Area, Column, Cost, Ensemble, Measured, Source
from search_spaces.factor import Eps, Settings
from search_spaces.study import Arm, Profile, Study
from trainables.config import (
    Activations,
    Attack,
    Measure,
    Natural,
    Sigmoid,
    TrialConfig,
    canonical_attack,
    canonical_measure,
    heads,
    trial_key,
)

PROFILES = ("paper", "short", "demo")
CASES = [pytest.param(s, p, id=f"{s.name}-{p.name}") for s in STUDIES.values() for p in s.profiles.values()]
#: What the table of epochs can show.
BY_EPOCH = {"train_loss", "train_accuracy", "natural_accuracy", "robust_accuracy", "discriminator_accuracy"}

_ATTACK: TypeAdapter[Attack] = TypeAdapter(Attack)
_MEASURE: TypeAdapter[Measure] = TypeAdapter(Measure)


def trial(study: Study, arm: Arm, profile: Profile) -> TrialConfig:
    layers = [resolve(settings, profile.eps) for settings in (profile.settings, study.fixed, arm.settings)]
    pins = resolve(profile.pins, profile.eps)
    config, _ = configure(layers, pins)
    fields = config.model_dump()
    for (field, value), exception in profile.exceptions.items():
        part, name = field.split(".")
        if fields[part][name] == value:
            pins |= resolve(exception, profile.eps)
    return configure(layers, pins)[0]


def trials(study: Study, profile: Profile) -> dict[tuple[str, ...], TrialConfig]:
    return {arm.labels: trial(study, arm, profile) for arm in study.arms(profile)}


def named(name: str, *labels: str, profile: str = "paper") -> TrialConfig:
    study = STUDIES[name]
    return trials(study, study.profiles[profile])[labels]


def one(pairs: Iterable[tuple[str, tuple[str, ...]]], profile: str) -> bool:
    """Whether rows of several tables are one training."""
    return len({trial_key(named(name, *labels, profile=profile)) for name, labels in pairs}) == 1


def plain(fields: Settings, profile: Profile) -> dict[str, Any]:
    """Fields of an attack or a measure in numbers, a transferred attack's source as some trial's key."""
    found = resolve(fields, profile.eps)
    if isinstance(found.get("source"), Source):
        found["source"] = "0" * 16
    for field, most in profile.limits.items():
        if field in found:
            found[field] = min(found[field], most)
    return found


def attacks(column: Column, profile: Profile) -> list[Attack]:
    fields = plain(column.attack, profile)
    tries: list[Mapping[str, Any]] = [fields]
    if column.adversarial and fields["name"] != "transfer":
        tries = [{**fields, "beta_atk": beta} for beta in (column.beta_atk or profile.beta_atk)]
    return [_ATTACK.validate_json(json.dumps(attack)) for attack in tries]


def measures(study: Study, profile: Profile) -> Iterator[Measure]:
    for fields in [p.measure for p in study.pictures] + [c.measure for c in study.columns if isinstance(c, Measured)]:
        yield _MEASURE.validate_json(json.dumps(plain(fields, profile)))


def sources(study: Study) -> Iterator[Source]:
    for column in study.columns:
        if isinstance(column, Column) and isinstance(source := column.attack.get("source"), Source):
            yield source


def columns(study: Study) -> dict[str, AnyColumn]:
    return {column.label: column for column in study.columns}


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_has_the_three_profiles_in_order(study: Study) -> None:
    assert tuple(study.profiles) == PROFILES
    assert all(name == profile.name for name, profile in study.profiles.items())


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_arms_are_valid_and_differ(study: Study, profile: Profile) -> None:
    configs = trials(study, profile)
    assert configs
    assert all(a != b for a, b in combinations(configs.values(), 2))
    assert all(len(labels) == len(study.varied(profile)) for labels in configs)


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_columns_are_valid_and_mean_something_in_some_row(study: Study, profile: Profile) -> None:
    labels = columns(study)
    assert len(labels) == len(study.columns) > 0
    modules = [config.module for config in trials(study, profile).values()]
    for column in study.columns:
        match column:
            case Column():
                assert any(column.head in heads(module) for module in modules)
                for attack in attacks(column, profile):
                    assert isinstance(attack, Natural) is not column.adversarial
                    assert any(canonical_attack(attack, module) for module in modules)
            case Ensemble():
                assert all(isinstance(labels[label], Column) for label in column.of)
            case Area():
                assert list(column.grid) == sorted(set(column.grid))
                _ATTACK.validate_json(json.dumps(plain(column.attack, profile)))
            case Cost():
                if column.attack:
                    _ATTACK.validate_json(json.dumps(plain(column.attack, profile)))


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_measures_are_valid_in_every_row(study: Study, profile: Profile) -> None:
    assert len({picture.label for picture in study.pictures}) == len(study.pictures)
    configs = trials(study, profile).values()
    for measure in measures(study, profile):
        assert all(canonical_measure(measure, config) for config in configs)


@pytest.mark.parametrize(("study", "profile"), CASES)
def test_sources_are_valid_and_no_row(study: Study, profile: Profile) -> None:
    configs = list(trials(study, profile).values())
    for source in sources(study):
        layers = [resolve(settings, profile.eps) for settings in (profile.settings, source.settings)]
        assert configure(layers, resolve(profile.pins, profile.eps))[0] not in configs


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_epochs_are_shown_by_what_is_recorded_of_them(study: Study) -> None:
    assert set(study.by_epoch) <= BY_EPOCH


@pytest.mark.parametrize("study", [*cas.STUDIES, *cifs.STUDIES], ids=lambda study: study.name)
@pytest.mark.parametrize("profile", PROFILES)
def test_training_selection_and_evaluation_have_the_eps_of_the_profile(study: Study, profile: str) -> None:
    where = study.profiles[profile]
    for config in trials(study, where).values():
        assert config.selection.attack.eps == where.eps
        assert config.selection.attack.step == pytest.approx(where.eps / (4 if profile == "demo" else 10))
        if config.attack is not None:
            assert config.attack.eps == where.eps
    for column in study.columns:
        if isinstance(column, Column) and column.adversarial and study.name != "cas/table-13":
            attack = column.attack.get("attack", column.attack)
            assert attack["eps"] == Eps()


# CAS


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
        ("cas/table-9", ("AT", "CAS"), ("cifar10", "vgg-16-bn", 0.1, 2e-4, 2 / 255)),
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


def test_natural_training_is_on_natural_images() -> None:
    for name, labels in [("cas/figure-6", ("STD",)), ("cas/figure-9", ("STD", "CAS")), ("cifs/figure-1", ("Normal",))]:
        config = named(name, *labels)
        assert (config.objective.name, config.attack) == ("standard", None)
    assert named("cas/figure-9", "STD", "CAS").module.name == "cas"


def test_cas_is_attacked_as_the_paper_says() -> None:
    table_4, table_12 = columns(STUDIES["cas/table-4"]), columns(STUDIES["cas/table-12"])
    assert [(c.head, c.beta_atk) for label, c in table_4.items() if isinstance(c, Column) and label.endswith("(CAS)")] == [
        ("1", ("own",)),
        *[("1", ("inf-1",))] * 3,
    ]
    assert [c.beta_atk for c in table_12.values() if isinstance(c, Column)] == [("0",), ("inf",), ("own",)]
    for name, study in STUDIES.items():
        if study.paper == "cas" and name not in {"cas/table-4", "cas/table-6", "cas/table-12"}:
            assert all(c.beta_atk == ("own",) for c in study.columns if isinstance(c, Column))


def test_black_box_attacks_come_from_a_natural_resnet_50() -> None:
    study = STUDIES["cas/table-6"]
    assert all(source.settings["model.name"] == "resnet-50" for source in sources(study))
    assert all(source.settings["attack"] is None for source in sources(study))
    assert len(list(sources(study))) == 2
    nattack = columns(study)["NAttack"]
    assert isinstance(nattack, Column)
    assert (nattack.attack["queries"], nattack.attack["examples"]) == (20_000, 1000)


def test_table_13_rises_from_2_to_32() -> None:
    study = STUDIES["cas/table-13"]
    found = [resolve(c.attack, 8 / 255) for c in study.columns if isinstance(c, Column)]
    assert [255 * fields["eps"] for fields in found] == pytest.approx([2, 4, 8, 16, 32])
    assert [fields["eps"] / fields["step"] for fields in found] == pytest.approx([10] * 5)


def test_channels_are_looked_at_in_class_0_above_1_percent() -> None:
    for figure in (2, 4, 5, 6):
        study = STUDIES[f"cas/figure-{figure}"]
        found = [m for m in measures(study, study.profiles["paper"]) if isinstance(m, Activations)]
        assert {(m.label, m.threshold, m.attack.name) for m in found} == {(0, 0.01, "natural"), (0, 0.01, "pgd")}
    study = STUDIES["cas/figure-10"]
    assert {m.threshold for m in measures(study, study.profiles["paper"]) if isinstance(m, Activations)} == {0.005, 0.01, 0.05}


# CIFS


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


@pytest.mark.parametrize("profile", ["short", "demo"])
def test_papers_share_what_differs_in_epochs_alone(profile: str) -> None:
    assert one([("cas/table-2", ("AT",)), ("cifs/table-b3", ("Vanilla",))], profile)


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
    assert config.training.schedule.milestones == (75, 90)
    assert config.attack is not None
    assert (config.attack.iterations, config.attack.step) == (10, pytest.approx(2 / 255))
    assert config.selection == TrialConfig().selection


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
    assert (config.training.epochs, config.training.schedule.milestones) == (120, (45, 75, 90))
    found = [resolve(c.attack, study.profiles["paper"].eps) for c in study.columns if isinstance(c, Column)]
    assert [fields.get("eps") for fields in found] == [None, 0.3, 0.3, 0.3]
    assert [fields.get("step") for fields in found] == [None, None, pytest.approx(0.01), pytest.approx(0.02)]
    assert one([("cifs/table-d1", ("CIFS",)), ("cifs/table-1", ("CIFS",))], "demo")


def test_friendly_training_grows_harder_in_every_profile() -> None:
    for profile, begin in {"paper": (51, 91), "short": (13, 23), "demo": (11, 19)}.items():
        config = named("cifs/table-b4", "FAT", "CIFS", profile=profile)
        assert config.attack is not None
        assert (config.attack.name, config.attack.taus, config.attack.milestones) == ("friendly", (0, 1, 2), begin)
        assert begin[-1] < config.training.epochs


def test_masks_have_the_papers_constants() -> None:
    assert named("cifs/figure-3", "sigmoid").module.imgf == Sigmoid(alpha=10.0)
    assert named("cifs/figure-3", "softplus").module.imgf.alpha == 5.0
    assert named("cifs/figure-3", "softmax").module.imgf.T == 1.0


def test_figures_of_classes_look_at_each() -> None:
    found = columns(STUDIES["cifs/figure-a1"])
    assert [c.only for c in found.values() if isinstance(c, Column)] == list(range(10))
    assert list(found)[3:5] == ["PGD-20 (cat)", "PGD-20 (deer)"]
    figure_1 = STUDIES["cifs/figure-1"]
    assert {m.label for m in measures(figure_1, figure_1.profiles["paper"]) if isinstance(m, Activations)} == {1, 3}


# Profiles


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


def test_data_sets_become_one_in_the_demo() -> None:
    study = STUDIES["cas/table-5"]
    assert [factor.name for factor in study.varied(study.profiles["demo"])] == ["objective", "module"]


@pytest.mark.parametrize("name", ["cifs/table-1", "cifs/table-b3", "cas/table-2", "cas/table-3", "cas/table-5", "cas/figure-8"])
def test_rows_come_in_the_papers_order(name: str) -> None:
    study = STUDIES[name]
    expected = {
        "cifs/table-1": [(n, d) for n in ("ResNet-18", "WRN-28-10") for d in ("Vanilla", "CAS", "CIFS")],
        "cifs/table-b3": [("Vanilla",), ("CAS",), ("CIFS",)],
        "cas/table-2": [("AT",), ("without suppressing",), ("with suppressing",)],
        "cas/table-3": [("Block2",), ("Block3",), ("Block4",), ("Block3+4",)],
        "cas/table-5": [(d, o, m) for d in ("SVHN", "CIFAR-10") for o in ("AT", "TRADES", "MART") for m in ("Vanilla", "CAS")],
        "cas/figure-8": [(f"β = {beta}",) for beta in ("0", "0.5", "1", "2", "5", "10", "20")],
    }
    assert [arm.labels for arm in study.arms(study.profiles["paper"])] == expected[name]


@pytest.mark.parametrize("paper", [cas, cifs])
def test_the_space_can_be_searched(paper: Any) -> None:
    assert len({factor.name for factor in paper.SPACE}) == len(paper.SPACE)
    for factor in paper.SPACE:
        if isinstance(factor.distribution, CategoricalDistribution):
            assert list(factor.distribution.choices) == [level.label for level in factor.levels]
        else:
            (field,) = factor.fields  # what is drawn can only mean the one field
            values = [level.settings[field] for level in factor.levels]
            assert factor.distribution.low <= min(values) <= max(values) <= factor.distribution.high


@pytest.mark.parametrize(("paper", "method"), [(cas, cas.CAS), (cifs, cifs.CIFS)])
def test_every_level_of_the_space_is_a_training(paper: Any, method: Settings) -> None:
    profile = paper.STUDIES[0].profiles["paper"]
    for factor in paper.SPACE:
        for level in factor.levels:
            # A constant belongs to one of the masks only.
            mask = {"module.imgf.name": "sigmoid"} if "module.imgf.alpha" in level.settings else {}
            configure([resolve(s, profile.eps) for s in (profile.settings, method, mask, level.settings)], {})


@pytest.mark.parametrize("paper", [cas, cifs])
def test_studies_vary_the_factors_of_the_space(paper: Any) -> None:
    beside = {"network", "defense", "objective", "module"}
    for study in paper.STUDIES:
        assert all(factor in paper.SPACE for factor in study.factors if factor.name not in beside)


def test_a_factor_of_some_levels_keeps_its_default_if_it_can() -> None:
    top_k = next(factor for factor in cifs.SPACE if factor.name == "top_k")
    assert top_k.only("top-1", "top-2").default == "top-2"
    some = top_k.only("top-3", "top-1")
    assert some.default == "top-3"
    assert isinstance(some.distribution, CategoricalDistribution)
    assert [level.label for level in some.levels] == list(some.distribution.choices)
