"""The papers' printed numbers have labels of the studies' rows and columns, and the values that are printed."""

from importlib.resources import files

import pytest

from search_spaces.catalog import STUDIES
from search_spaces.column import BETA_ATK
from search_spaces.study import Study

#: Tables whose numbers cannot be read.
ILLEGIBLE = {"afd/table-a7"}

#: Rows as printed, in the order of the study's columns; None where the table prints a dash.
ROWS: dict[str, dict[tuple[str, ...], tuple[float | None, ...]]] = {
    "cas/table-3": {
        ("Block2",): (71.89, 49.69, 40.26, 46.46),
        ("Block3",): (83.05, 59.20, 47.84, 48.19),
        ("Block4",): (86.79, 61.23, 48.88, 53.33),
        ("Block3+4",): (83.77, 58.32, 48.27, 54.62),
    },
    "cifs/table-1": {
        ("ResNet-18", "CAS"): (86.73, 55.99, 45.29, 44.18, 43.22),
        ("ResNet-18", "CIFS"): (83.86, 58.86, 51.23, 50.16, 48.70),
        ("WRN-28-10", "Vanilla"): (87.29, 58.50, 49.17, 48.68, 47.08),
        ("WRN-28-10", "CIFS"): (85.56, 61.34, 53.74, 53.20, 51.51),
    },
    "cifs/table-5": {
        ("Vanilla",): (84.56, None, None, 46.62),
        ("top-1",): (87.63, 47.24, 47.24, 47.24),
        ("top-2",): (83.86, 48.72, 54.96, 51.23),
        ("top-3",): (83.49, 47.59, 55.39, 49.91),
    },
    "cifs/table-b2": {
        ("ResNet-18", "Vanilla"): (83.63, 56.73, 50.64, 49.51, 49.47),
        ("ResNet-18", "CIFS"): (82.46, 58.98, 51.94, 51.25, 49.76),
        ("WRN-28-10", "CAS"): (87.51, 58.54, 52.06, 51.27, 50.69),
    },
    "cifs/table-b3": {
        ("Vanilla", "0"): (84.56, 55.11, 46.62, 45.95, 44.72),
        ("CAS", "0"): (86.73, 83.17, 88.45, 88.52, 88.24),
        ("CAS", "0.1"): (None, 58.61, 61.36, 85.51, 62.40),
        ("CAS", "inf-1"): (None, 55.99, 45.29, 44.18, 43.22),
        ("CIFS", "10"): (None, 59.35, 51.27, 50.70, 48.70),
        ("CIFS", "inf"): (None, 59.43, 51.45, 51.08, 48.82),
        ("CIFS", "inf-2"): (None, 60.03, 52.30, 50.92, 50.03),
    },
    "cifs/table-e1": {
        ("β = 0.1",): (75.22, 53.41, 48.10, 46.28),
        ("β = 2",): (83.86, 58.86, 51.23, 48.74),
        ("β = 100",): (75.41, 52.90, 45.00, 43.12),
    },
    "cifs/table-e2": {
        ("Vanilla",): (84.56, 55.11, 46.62, 44.72),
        ("P1",): (84.02, 57.60, 48.45, 45.95),
        ("P2",): (82.62, 56.55, 47.22, 44.81),
    },
    "cifs/table-e3": {
        ("Vanilla",): (84.56, 55.11, 46.62, 44.72),
        ("Linear-Linear",): (81.52, 58.33, 51.32, 49.07),
        ("MLP-Linear",): (83.86, 58.86, 51.23, 48.74),
    },
    "fsr/table-s2": {("TRADES", "FSR"): (49.53, 24.87, 23.22, 23.09, 19.22, 19.04)},
    "fsr/table-s6": {("Binary",): (55.78, 49.21, 47.79, 48.74, 46.91, 44.26)},
    "infofeature/table-1": {("AdvInterp",): (90.0, 70.4, 61.0, 47.5, 44.1)},
    "infofeature/table-2": {("Standard",): (2.1, 2.0, 2.8, 2.0, 1.8, 2.2, 1.6, 1.9, 1.5, 2.0, 1.5, 2.0, 1.6, 2.1)},
    "afd/table-1": {
        ("MNIST", "ResNet-18", "TRADES"): (98.84, 80.69, 91.75, 97.11, 86.4),
        ("CIFAR-10", "ResNet-18", "AFD"): (89.38, 77.72, 85.34, 86.33, 84.70),
        ("CIFAR-100", "ResNet-18", "NT"): (76.12, 0.01, 9.67, 1.55, 15.43),
    },
    "afd/table-2": {
        ("MNIST", "AFD"): (0.83, 0.84, 0.70, 0.84, 0.84, 0.85, 0.83, 0.96),
        ("CIFAR-100", "AT"): (0.15, 0.03, 0.08, 0.19, 0.15, 0.04, 0.16, 0.23),
    },
    "afd/table-a3": {("CIFAR-10", "NT"): (0.0, None, None), ("CIFAR-10", "AFD"): (25, 68, 41)},
    "afd/table-a4": {("MNIST", "TRADES"): (93.58, None), ("CIFAR-100", "AFD"): (42.72, 40.29)},
    "afd/table-a5": {("MNIST", "AFD"): (18, 6), ("CIFAR-10", "TRADES"): (512, 349)},
    "afd/table-a6": {("FC1-PD",): (85.96,), ("FC3",): (90.73,), ("FC3-PD",): (97.03,)},
    "infofeature/table-6": {("Madry",): (88.7, 88.6, 88.4, 75.3, 74.6)},
}


def test_no_printed_number_is_without_a_study() -> None:
    printed = {file.name.removesuffix(".csv") for file in files("search_spaces").joinpath("reference").iterdir()}
    papers = {study.paper for study in STUDIES.values()}
    cited = {f"{name.replace('/', '-')}-cited" for name, study in STUDIES.items() if study.cited()}  # from other papers
    assert {name for name in printed - cited if name.split("-")[0] in papers} <= {name.replace("/", "-") for name in STUDIES}


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_a_table_has_numbers(study: Study) -> None:
    assert study.printed() or "/table-" not in study.name or study.name in ILLEGIBLE


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_labels_are_those_of_the_study(study: Study) -> None:
    paper = study.profiles["paper"]
    rows = {arm.labels: {column.label for column in study.columns_of(arm, paper)} for arm in study.arms(paper)}
    if study.rows_by_beta:
        rows = {(*labels, beta): columns for labels, columns in rows.items() for beta in BETA_ATK}
    for number in study.printed():
        assert number.column in rows[number.labels]
        assert number.checkpoint in (("best", "last") if study.checkpoint == "both" else (study.checkpoint,))


@pytest.mark.parametrize("name", ROWS)
def test_numbers_are_those_of_the_paper(name: str) -> None:
    study = STUDIES[name]
    printed = {(number.labels, number.column): number.value for number in study.printed() if not number.seed}
    for labels, row in ROWS[name].items():
        columns = dict.fromkeys(column.label for column in study.columns)
        assert tuple(printed.get((labels, column)) for column in columns) == row


def test_table_1_prints_the_strongest_attack_of_table_b3() -> None:
    by_beta = STUDIES["cifs/table-b3"].printed()
    for (network, defense), _, column, value, *_ in STUDIES["cifs/table-1"].printed():
        if network == "ResNet-18":
            assert value == min(n.value for n in by_beta if (n.labels[0], n.column) == (defense, column))
