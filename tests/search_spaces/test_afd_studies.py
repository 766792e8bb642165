"""AFD's studies: data sets with eps and networks of their own, in one table, and one training in all of them."""

import pytest
from pydantic import TypeAdapter

from orchestrator.planning.settings import configure, resolve
from search_spaces.catalog import STUDIES
from search_spaces.column import AnyColumn, Area, Column
from search_spaces.settings import Settings, SourceSettings
from search_spaces.study import Arm, Profile, Study
from trainables.config import (
    APGD,
    CWL2,
    DDN,
    FGSM,
    MIM,
    PGD,
    AutoAttack,
    Boundary,
    BrendelBethge,
    DeepFool,
    Model,
    TrialConfig,
)

DATASETS = ("MNIST", "CIFAR-10", "CIFAR-100")
METHODS = ("NT", "AT", "TRADES", "AFD")
GRID_TABLES = ("table-1", "table-2", "table-a3", "table-a4", "table-a5", "table-a7", "figure-2", "figure-4")

PROFILES = ("paper", "short", "demo")


def study(slug: str) -> Study:
    return STUDIES[f"afd/{slug}"]


def row(slug: str, *labels: str, profile: str = "paper") -> tuple[Arm, Profile]:
    there = study(slug).profiles[profile]
    if slug == "table-1" and len(labels) == 2:
        labels = (labels[0], "ResNet-18", labels[1])
    return next(arm for arm in study(slug).arms(there) if arm.labels == labels), there


def training(profile: Profile, *layers: Settings) -> TrialConfig:
    settings = [resolve(layer, profile.eps) for layer in (profile.settings, *layers)]
    return configure(settings, resolve(profile.pins, profile.eps))[0]


def trial(slug: str, *labels: str, profile: str = "paper") -> TrialConfig:
    arm, there = row(slug, *labels, profile=profile)
    return training(there, study(slug).fixed, arm.settings)


def columns(slug: str, *labels: str, profile: str = "paper") -> dict[str, AnyColumn]:
    arm, there = row(slug, *labels, profile=profile)
    return {column.label: column for column in study(slug).columns_of(arm, there)}


def attack(slug: str, label: str, *labels: str, profile: str = "paper") -> Settings:
    column = columns(slug, *labels, profile=profile)[label]
    assert isinstance(column, Column)
    return resolve(column.attack, study(slug).profiles[profile].eps)


def area(label: str, dataset: str) -> Area:
    column = columns("table-2", dataset, "AFD")[label]
    assert isinstance(column, Area)
    return column


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_one_trial_in_every_table(dataset: str, method: str, profile: str) -> None:
    labels = (method,) if profile == "demo" else (dataset, method)
    figures = {
        "MNIST": ("figure-a1", "figure-a8"),
        "CIFAR-10": ("figure-3", "figure-a9"),
        "CIFAR-100": ("figure-a2", "figure-a10"),
    }[dataset]
    assert len({trial(slug, *labels, profile=profile) for slug in (*GRID_TABLES, *figures)}) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_afd_as_the_paper_has_it_is_one_trial_in_its_ablations(profile: str) -> None:
    demo, paper = profile == "demo", profile == "paper"
    mnist, cifar = ((), ()) if demo else (("MNIST",), ("CIFAR-10",))
    on_mnist = {
        trial("table-1", *mnist, "AFD", profile=profile),
        trial("table-a6", "FC3-PD", profile=profile),
        trial("recipe", *mnist, "iclr21", profile=profile),
        trial("figure-a3", *mnist, "AFD", profile=profile),
        trial("figure-a5", *mnist, "AFD", profile=profile),
    }
    on_cifar = {
        trial("table-1", *cifar, "AFD", profile=profile),
        trial("figure-a4", *cifar, *(["epoch = 900"] if paper else []), profile=profile),
        trial("figure-a6", *cifar, *([] if demo else ["ε = 0.031", "20 steps"]), profile=profile),
        trial("loss", *cifar, "softplus", "PGD", profile=profile),
        trial("recipe", *cifar, "iclr21", profile=profile),
    }
    assert len(on_mnist) == len(on_cifar) == 1
    assert (on_mnist == on_cifar) is demo


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("method", METHODS)
def test_the_paper_profile_is_table_a1(dataset: str, method: str) -> None:
    config, mnist = trial("table-1", dataset, method), dataset == "MNIST"
    assert config.data.dataset == dataset.lower().replace("-", "")
    assert (config.data.crop, config.data.flip) == ((0, False) if mnist else (4, True))
    assert (config.model.name, config.model.width) == (("resnet-18-afd", 16) if mnist else ("resnet-18", 64))
    assert config.model.unit_features
    # "After scheduled epochs" 50 and 80, or 400 and 800.
    assert (config.training.epochs, config.training.schedule.milestones) == ((100, (51, 81)) if mnist else (900, (401, 801)))
    assert (config.training.batch_size, config.training.lr, config.training.momentum) == (128, 0.1, 0.9)
    assert config.training.weight_decay == 1e-4
    assert config.selection.attack == (
        PGD(eps=0.3, step=0.01, iterations=40, start="zero")
        if mnist
        else PGD(eps=8 / 255, step=2 / 255, iterations=20, start="zero")
    )


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_method_is_trained_with_its_own_attack(dataset: str) -> None:
    natural, at, trades, afd = (trial("table-1", dataset, method) for method in METHODS)
    mnist = dataset == "MNIST"
    assert natural.attack is None
    assert at.attack == afd.attack
    assert at.attack.name == "pgd"
    assert (at.attack.eps, at.attack.step, at.attack.iterations) == ((0.3, 0.01, 40) if mnist else (0.031, 2 / 255, 20))
    assert (trades.attack.loss, trades.attack.start) == ("kl", "gaussian")
    assert (trades.attack.eps, trades.attack.step, trades.attack.iterations) == (
        (0.3, 0.01, 40) if mnist else (0.031, 0.007, 10)
    )
    assert trades.objective.lam == (1 if mnist else 6)
    assert (afd.objective.depth, afd.objective.projection, afd.objective.loss) == (3, True, "softplus")
    rates = afd.objective.lr_encoder, afd.objective.lr_discriminator
    assert (afd.objective.hidden, *rates) == ((64, 0.5, 0.5) if mnist else (512, 0.5, 0.1))


def test_three_runs_as_in_table_1() -> None:
    assert study("table-1").profiles["paper"].seeds == 3


def test_table_1_has_the_eps_of_each_data_set() -> None:
    mnist, cifar, digits = ("MNIST", "AFD"), ("CIFAR-100", "AFD"), ("AFD",)
    assert TypeAdapter(PGD).validate_python(attack("table-1", "PGD-L∞ (WB)", *mnist)) == PGD(eps=0.3, step=0.01, iterations=40)
    expected = PGD(eps=8 / 255, step=2 / 255, iterations=20)
    assert TypeAdapter(PGD).validate_python(attack("table-1", "PGD-L∞ (WB)", *cifar)) == expected
    assert TypeAdapter(FGSM).validate_python(attack("table-1", "FGSM (WB)", *cifar)) == FGSM(eps=8 / 255)
    assert attack("table-1", "FGSM (WB)", *digits, profile="demo")["eps"] == 0.125


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("slug", "column", "method"),
    [
        ("table-1", "PGD-L∞ (BB)", "NT"),
        ("table-1", "FGSM (BB)", "NT"),
        ("table-a4", "AT Transfer", "AT"),
        ("table-a4", "TRADES Transfer", "TRADES"),
    ],
)
def test_what_is_transferred_from_is_trained_as_its_row(
    slug: str, column: str, method: str, dataset: str, profile: str
) -> None:
    labels = () if profile == "demo" else (dataset,)
    transfer = attack(slug, column, *labels, "AFD", profile=profile)
    source = transfer["source"]
    assert isinstance(source, SourceSettings)
    there = study(slug).profiles[profile]
    own = trial(slug, *labels, method, profile=profile)
    # A source is on the row's own data set.
    assert training(there, {"data.dataset": own.data.dataset}, source.settings) == own
    white = "FGSM (WB)" if column.startswith("FGSM") else "PGD-L∞ (WB)"
    assert transfer["attack"] == attack("table-1", white, *labels, "AFD", profile=profile)


@pytest.mark.parametrize(
    ("dataset", "grids"),
    [
        (
            "MNIST",
            {
                "PGD-L∞": (0.1, 0.3, 0.35, 0.4, 0.45, 0.5),
                "PGD-L2": (2, 5, 10),
                "PGD-L1": (10, 50, 100, 200),
                "FGSM": (0.1, 0.3, 0.35, 0.4, 0.45, 0.5),
                "MIM": (0.1, 0.3, 0.5, 0.8, 1),
                "DDN": (1, 2, 5),
                "DeepFool": (0.1, 0.3, 0.35, 0.4, 0.45, 0.5),
                "C&W": (0.5, 1, 1.5, 2),
            },
        ),
        (
            "CIFAR-10",
            {
                "PGD-L∞": tuple(k / 255 for k in (2, 4, 8, 16, 32)),
                "PGD-L2": (2, 5, 10),
                "PGD-L1": (10, 50, 100, 200),
                "FGSM": tuple(k / 255 for k in (2, 4, 8, 16, 32, 64)),
                "MIM": tuple(k / 255 for k in (2, 4, 8, 16, 32)),
                "DDN": (2, 5, 10, 15),
                "DeepFool": tuple(k / 255 for k in (2, 4, 8, 16, 32, 64)),
                "C&W": (0.5, 1, 1.5, 2),
            },
        ),
    ],
)
def test_areas_are_over_the_eps_of_table_a2(dataset: str, grids: dict[str, tuple[float, ...]]) -> None:
    assert {label: area(label, dataset).grid for label in grids} == grids
    assert list(columns("table-2", dataset, "NT")) == list(grids)
    assert {label for label in grids if area(label, dataset).smallest} == {"DDN", "DeepFool", "C&W"}


def test_attacks_have_the_steps_of_table_a2() -> None:
    def at(label: str, dataset: str, eps: float) -> Settings:
        return resolve(area(label, dataset).attack, eps)

    assert PGD(**at("PGD-L∞", "MNIST", 0.3)) == PGD(eps=0.3, step=0.01, iterations=40)
    assert PGD(**at("PGD-L∞", "CIFAR-100", 0.1)) == PGD(eps=0.1, step=2 / 255, iterations=20)
    for dataset in DATASETS:
        assert PGD(**at("PGD-L2", dataset, 2)) == PGD(norm="l2", eps=2, step=0.05, iterations=50)
        assert PGD(**at("PGD-L1", dataset, 10)) == PGD(norm="l1", eps=10, step=0.25, iterations=50)
        assert MIM(**at("MIM", dataset, 0.5)) == MIM(eps=0.5, step=0.01, iterations=40)
        assert DDN(**at("DDN", dataset, 5)) == DDN(eps=5, iterations=100)
        assert DeepFool(**at("DeepFool", dataset, 0.5)) == DeepFool(eps=0.5, iterations=50)
        assert CWL2(**at("C&W", dataset, 2)) == CWL2(eps=2, iterations=100, step=0.05)


@pytest.mark.parametrize(("slug", "dataset"), [("figure-a1", "MNIST"), ("figure-3", "CIFAR-10"), ("figure-a2", "CIFAR-100")])
def test_the_points_of_a_figure_are_those_of_the_areas(slug: str, dataset: str) -> None:
    points = [attack(slug, label, dataset, "AFD") for label in columns(slug, dataset, "AFD") if label != "Natural"]
    areas = [area(label, dataset) for label in columns("table-2", dataset, "AFD")]
    assert points == [resolve(a.attack, eps) for a in areas for eps in a.grid if isinstance(eps, float)]


@pytest.mark.parametrize("dataset", DATASETS)
def test_table_1_is_a_point_of_figure_2(dataset: str) -> None:
    figure = [attack("figure-2", label, dataset, "AT") for label in columns("figure-2", dataset, "AT")]
    assert attack("table-1", "PGD-L∞ (WB)", dataset, "AT") in figure


@pytest.mark.parametrize("dataset", DATASETS)
def test_table_a3_is_on_a_hundred_images(dataset: str) -> None:
    eps = 0.3 if dataset == "MNIST" else 8 / 255
    found = {label: dict(attack("table-a3", label, dataset, "AT")) for label in columns("table-a3", dataset, "AT")}
    assert [settings.pop("examples") for settings in found.values()] == [100] * 3
    assert AutoAttack(**found["AutoAttack"]) == AutoAttack(eps=eps)
    assert Boundary(**found["Boundary Attack"]) == Boundary(eps=2.0, iterations=5000)
    assert BrendelBethge(**found["B&B"]) == BrendelBethge(eps=eps, norm="linf")


def test_a_stage_is_a_beginning_of_the_whole_training() -> None:
    whole = trial("figure-a4", "CIFAR-100", "epoch = 900")
    part = trial("figure-a4", "CIFAR-100", "epoch = 300")
    assert whole.training.schedule.name == "multistep"
    assert part == whole.model_copy(update={"training": whole.training.model_copy(update={"epochs": 300})})


def test_the_public_codes_choices_are_beside_the_papers() -> None:
    code = trial("loss", "CIFAR-10", "critic", "APGD-CE")
    assert code.objective.loss == "critic"
    assert (code.attack.name, code.attack.eps, code.attack.iterations) == ("apgd", 0.031, 20)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_later_recipe_is_the_public_codes(dataset: str) -> None:
    """``afd_train.py``, ``utils.get_train_args`` and ``utils.get_attack`` of BashivanLab/afd, commit 7631421."""
    text, code, mnist = trial("recipe", dataset, "iclr21"), trial("recipe", dataset, "neurips21"), dataset == "MNIST"
    assert text == trial("table-1", dataset, "AFD")
    assert code.objective == text.objective.model_copy(update={"loss": "critic"})
    assert code.model == text.model
    assert code.attack == APGD(eps=0.3 if mnist else 8 / 255, iterations=40 if mnist else 20, unbroken="natural")
    drops = (51, 81) if mnist else (151, 251)
    assert (code.training.epochs, code.training.schedule.milestones) == (100 if mnist else 300, drops)
    same = {"epochs": text.training.epochs, "schedule": text.training.schedule}
    assert code.training.model_copy(update=same) == text.training


def test_the_rows_that_table_1_cites() -> None:
    cited = {(*n.labels, n.column): n.value for n in study("table-1").cited()}
    assert len({labels[:3] for labels in cited}) == 16
    assert cited["CIFAR-10", "WRN-34-10", "JARN", "FGSM (BB)"] == 70.3
    rows = {arm.labels for arm in study("table-1").arms(study("table-1").profiles["paper"])}
    ours = {("MNIST", "LeNet", "AT"), ("MNIST", "LeNet", "TRADES")}
    ours |= {(dataset, "WRN-28-10", "Feature-scattering") for dataset in ("CIFAR-10", "CIFAR-100")}
    assert {labels[:3] for labels in cited} & rows == ours


def test_networks_of_other_works_are_rows_of_table_1() -> None:
    lenet = trial("table-1", "MNIST", "LeNet", "AFD")
    there = trial("table-1", "MNIST", "AFD")
    assert lenet == there.model_copy(update={"model": Model(name="lenet-afd", width=32, unit_features=True)})
    wide = trial("table-1", "CIFAR-100", "WRN-28-10", "Feature-scattering")
    assert (wide.data.dataset, wide.model) == ("cifar100", Model(name="wrn-28", width=160, normalise=True))
    assert (wide.objective.label_smoothing, wide.attack.name, wide.attack.eps) == (0.5, "feature-scattering", 8 / 255)
    assert (wide.training.epochs, wide.training.batch_size, wide.training.weight_decay) == (200, 60, 2e-4)
    assert wide.training.schedule.milestones == (61, 91)


def test_the_best_runs_are_those_of_section_3_2() -> None:
    best = {n.labels: (n.column, n.value) for n in study("table-1").printed() if n.seed}
    assert best == {
        ("CIFAR-10", "ResNet-18", "AFD"): ("PGD-L∞ (WB)", 83.72),
        ("CIFAR-100", "ResNet-18", "AFD"): ("PGD-L∞ (WB)", 54.95),
    }


def test_table_a6_is_on_mnist() -> None:
    arms = study("table-a6").arms(study("table-a6").profiles["paper"])
    assert [arm.labels for arm in arms] == [("FC1-PD",), ("FC3",), ("FC3-PD",)]
    objectives = [trial("table-a6", *arm.labels).objective for arm in arms]
    assert [(objective.depth, objective.projection) for objective in objectives] == [(1, True), (3, False), (3, True)]
    assert trial("table-a6", "FC3").data.dataset == "mnist"
    assert attack("table-a6", "PGD-L∞ (WB)", "FC3")["eps"] == 0.3
    assert attack("table-a6", "PGD-L∞ (WB)", "FC3", profile="demo")["eps"] == 0.125


def test_data_sets_become_one_in_the_demo() -> None:
    for slug in GRID_TABLES:
        demo = study(slug).profiles["demo"]
        further = ["Feature-scattering"] if slug == "table-1" else []
        assert {arm.labels for arm in study(slug).arms(demo)} == {(method,) for method in (*METHODS, *further)}
    assert trial("table-1", "AFD", profile="demo").data.dataset == "digits"


def test_rows_come_in_the_papers_order() -> None:
    arms = study("table-1").arms(study("table-1").profiles["paper"])
    own = [arm.labels for arm in arms if arm.labels[1] == "ResNet-18"]
    assert own == [(dataset, "ResNet-18", method) for dataset in DATASETS for method in METHODS]


def test_figures_that_are_no_table_have_pictures_or_epochs() -> None:
    arm, paper = row("figure-a9", "CIFAR-10", "AFD")
    planes = study("figure-a9").panels_of(arm, paper)
    assert [panel.label for panel in planes] == ["natural", *(f"ε = {k}/255" for k in (2, 4, 8, 16, 32))]
    assert study("figure-a5").by_epoch == ("discriminator_accuracy",)
    assert "robust_accuracy" in study("figure-a4").by_epoch
    assert [panel.label for panel in study("figure-4").panels] == ["class gradients"]
