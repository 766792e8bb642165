"""Columns other than plain accuracies: ensembles, areas, measures, classes and costs."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from analysis.record.manifest import ManifestArm, ManifestColumn, Read
from analysis.tables import Table, build
from tests.support.handmade_record import NATURAL, PGD, Storage, manifest, share

#: Under two joint losses.
BOTH = (Read("a", "0"), Read("b", "2"))


def arm(reads: dict[str, tuple[Read, ...]] | None = None, **more: Any) -> ManifestArm:
    return ManifestArm(("CAS",), {"0": "c0"}, reads or {}, **more)


def table(storage: Storage, arm: ManifestArm, *columns: ManifestColumn, over_beta: str = "minimum") -> Table:
    study = manifest(arm, columns=columns)
    return build(storage.load(), study, checkpoint="last", over_beta=over_beta)


def only(made: Table) -> list[float | None]:
    """The values of the only row."""
    ((row,),) = (block.rows for block in made.blocks)
    return [cell.mean if cell else None for cell in row.cells]


@pytest.mark.parametrize("over_beta", ["minimum", "per-sample"])
def test_an_ensemble_has_each_examples_worst(storage: Storage, over_beta: str) -> None:
    storage.trial("c0")
    storage.evaluation("c0", "a", "1111100000")
    storage.evaluation("c0", "b", "0011111100")
    ensemble = ManifestColumn("Ensemble", True, kind="ensemble")
    made = arm({"PGD-20": BOTH, "Ensemble": tuple(replace(read, column="PGD-20") for read in BOTH)})
    found = only(table(storage, made, PGD, ensemble, over_beta=over_beta))
    assert found == [50 if over_beta == "minimum" else 30, 30]


def test_an_area_is_the_mean_of_trapezoids(storage: Storage) -> None:
    storage.trial("c0")
    for eps, right in ((0.0, 10), (0.1, 6), (0.3, 2)):
        storage.evaluation("c0", f"at-{eps}", share(right))
    area = ManifestColumn("PGD", True, kind="area")
    reads = tuple(Read(f"at-{eps}", eps=eps) for eps in (0.3, 0.1, 0.0))
    expected = (0.1 * (1.0 + 0.6) / 2 + 0.2 * (0.6 + 0.2) / 2) / 0.3
    assert only(table(storage, arm({"PGD": reads}), area)) == [pytest.approx(expected)]


def test_an_area_of_smallest_changes(storage: Storage) -> None:
    storage.trial("c0")
    distance = [0.0, 0.05, 0.05, 0.15, 0.15, 0.15, 0.25, np.inf, np.inf, np.inf]
    storage.evaluation("c0", "ddn", share(3), distance=distance)
    area = ManifestColumn("DDN", True, kind="area")
    expected = np.trapezoid([0.9, 0.7, 0.4, 0.3], dx=0.1) / 0.3
    reads = tuple(Read("ddn", eps=eps) for eps in (0.0, 0.1, 0.2, 0.3))
    assert only(table(storage, arm({"DDN": reads}), area)) == [pytest.approx(expected)]


def test_a_measure_is_the_mean_of_values_that_are_not_nan(storage: Storage) -> None:
    storage.trial("c0")
    storage.measured("c0", "angle", (4,), [1.0, 2.0, np.nan, 6.0])
    storage.measured("c0", "units", (), [12.0])
    columns = [ManifestColumn("Angle", False, kind="measure", array="angle", times=10.0)]
    columns += [ManifestColumn("Units", False, kind="measure", array="units")]
    made = table(storage, arm(measures={"Angle": "m", "Units": "m"}), *columns)
    assert only(made) == [30, 12]
    ((row,),) = (block.rows for block in made.blocks)
    assert not any(cell.bold or cell.underline for cell in row.cells if cell)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_a_measure_without_any_number_is_nan_and_no_warning(storage: Storage, statistic: Literal["mean", "median"]) -> None:
    storage.trial("c0")
    storage.measured("c0", "angle", (2,), [np.nan, np.nan])
    column = ManifestColumn("Angle", False, kind="measure", array="angle", statistic=statistic)
    (value,) = only(table(storage, arm(measures={"Angle": "m"}), column))
    assert np.isnan(value)


def test_a_measure_may_show_its_median(storage: Storage) -> None:
    storage.trial("c0")
    storage.measured("c0", "sensitivity", (4,), [1.0, 2.0, np.nan, 6.0])
    column = ManifestColumn("Sensitivity", False, kind="measure", array="sensitivity", statistic="median")
    assert only(table(storage, arm(measures={"Sensitivity": "m"}), column)) == [2]


def test_accuracy_on_a_class_is_the_lowest_over_attacks(storage: Storage) -> None:
    storage.trial("c0")
    storage.evaluation("c0", "a", share(5), class_accuracy=[0.75, 0.5])
    storage.evaluation("c0", "b", share(5), class_accuracy=[0.25, 1.0])
    columns = [ManifestColumn(f"PGD-20 ({c})", True, only=c) for c in (0, 1)]
    assert only(table(storage, arm({column.label: BOTH for column in columns}), *columns)) == [25, 50]


def test_costs_are_seconds(storage: Storage) -> None:
    storage.trial("c0", history=[{"epoch": i + 1, "seconds": float(i)} for i in range(5)])
    storage.evaluation("c0", "PGD", share(5), seconds=7.5)
    columns = [ManifestColumn(label, False, kind="cost") for label in ("an epoch", "PGD-20")]
    # The row of the incomplete evaluation may have the seconds of a longer attack.
    storage.evaluation("c0", "PGD", share(5), complete=False, seconds=30.0)
    assert only(table(storage, arm({"PGD-20": (Read("PGD"),)}, training=("an epoch",)), *columns)) == [2, 7.5]


@pytest.mark.parametrize("kind", ["ensemble", "area", "measure", "cost"])
def test_a_missing_result_is_a_note(storage: Storage, kind: str) -> None:
    storage.trial("c0")
    storage.evaluation("c0", "natural", share(9))
    column = ManifestColumn("new", False, kind=kind, array="units")
    reads = {"Natural": (Read("natural"),)}
    if kind == "measure":
        made = arm(reads, measures={"new": "PGD"})
    else:
        made = arm(reads | {"new": (Read("natural", eps=0.0), Read("PGD", eps=0.1)) if kind == "area" else (Read("PGD"),)})
    ((row,),) = (block.rows for block in table(storage, made, NATURAL, column).blocks)
    assert [(cell.mean, cell.note) for cell in row.cells if cell] == [(90, ""), (None, "seed 0: not evaluated yet")]


def test_rows_by_beta_have_other_kinds_once(storage: Storage) -> None:
    storage.trial("c0")
    for attack, right in (("natural", 9), ("a", 5), ("b", 4)):
        storage.evaluation("c0", attack, share(right))
    storage.measured("c0", "units", (), [12.0])
    units = ManifestColumn("Units", False, kind="measure", array="units")
    made = arm({"Natural": (Read("natural"),), "PGD-20": BOTH}, measures={"Units": "m"})
    (block,) = table(storage, made, NATURAL, PGD, units, over_beta="each").blocks
    assert [[cell.mean if cell else None for cell in row.cells] for row in block.rows] == [[90, 50, 12], [None, 40, None]]
