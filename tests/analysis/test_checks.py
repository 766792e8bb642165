"""The checklist: each item passes, fails and is not run where it should be, and marks the rows of tables."""

import numpy as np
import pytest
from scipy.stats import norm

from analysis.checks import ITEMS, SMALLEST, SOUNDNESS, Item, check
from analysis.checks.items import QUANTILE, margin
from analysis.render import to_csv, to_html, to_latex, to_markdown, to_text
from analysis.tables import build
from tests.support.handmade_record import Storage, arm, manifest, share

EPS = 8 / 255
PGD = {"name": "pgd", "eps": EPS, "norm": "linf", "step": EPS / 4, "iterations": 20, "beta_atk": "0", "view": "plain"}
FGSM = {"name": "fgsm", "eps": EPS, "norm": "linf", "beta_atk": "0", "view": "plain"}
SQUARE = {"name": "square", "eps": EPS, "norm": "linf", "queries": 100}
TRANSFER = {"name": "transfer", "source": "0" * 16, "attack": PGD}
AUTO = {"name": "autoattack", "eps": EPS, "norm": "linf"}
UNBOUNDED = PGD | {"eps": 1.0, "step": 0.25}

GRADIENT, STEADY, ITERATIVE, WHITE, ITERATIONS, LARGER, NOTHING, GRADIENTS, ADAPTIVE, PLAIN, REFERENCE, AUTOATTACK, SHOWN = (
    ITEMS
)

#: PGD with another step, which is a run of its own.
FINER = PGD | {"iterations": 100, "step": EPS / 40}


@pytest.fixture
def storage(tmp_path):
    return Storage(tmp_path)


def evaluate(storage, trial, *attacks):
    """Record evaluations, given as pairs of an attack and how many of 100 examples it leaves right."""
    storage.trial(trial)
    for i, (spec, right) in enumerate(attacks):
        # The table's own column shows plain PGD.
        key = "PGD0" if spec == PGD else f"attack-{i}"
        storage.evaluation(trial, key, share(int(right * 10), of=1000), spec=spec)


def measure(storage, trial, right=100, checkpoint="last", **changed):
    """Record a sound measurement with ``right`` of 100 examples right, but for the ``changed`` arrays, by name."""
    sound = {
        "right": [1] * right + [0] * (100 - right),
        "finite": [1] * 100,
        "gradient": [0.1] * 100,
        "disagreement": [0] * 100,
    }
    for name, values in (sound | changed).items():
        storage.measured(trial, name, [100], values, measure=SOUNDNESS, checkpoint=checkpoint)


def items(storage, *trials):
    found = check(storage.load(), manifest(arm("CAS", trials)), "last")[("CAS",)]
    assert [item.name for item in found] == list(ITEMS)
    return {item.name: item for item in found}


def statuses(storage, *trials):
    return {name: item.status for name, item in items(storage, *trials).items() if item.status != "not run"}


CASES = [
    (ITERATIVE, [(FGSM, 50), (PGD, 40)], [(FGSM, 40), (PGD, 50)]),
    (WHITE, [(PGD, 40), (TRANSFER, 70)], [(PGD, 70), (TRANSFER, 40)]),
    (WHITE, [(PGD, 40), ({"name": "noise", "eps": EPS}, 70)], [(PGD, 70), ({"name": "noise", "eps": EPS}, 40)]),
    (WHITE, [(PGD, 40), (AUTO, 39), (TRANSFER, 70)], [(PGD, 70), (AUTO, 39), (TRANSFER, 40)]),
    (ITERATIONS, [(PGD, 40), (FINER, 38)], [(PGD, 40), (FINER, 44)]),
    (LARGER, [(PGD, 40), (PGD | {"eps": 0.1, "step": 0.025}, 10)], [(PGD, 40), (PGD | {"eps": 0.1, "step": 0.025}, 60)]),
    (NOTHING, [(PGD, 40), (UNBOUNDED, 0)], [(PGD, 40), (UNBOUNDED, 7)]),
    (GRADIENTS, [(PGD, 40), (SQUARE, 50)], [(PGD, 50), (SQUARE, 40)]),
    (ADAPTIVE, [(PGD, 40), (PGD | {"beta_atk": "inf-1"}, 38)], [(PGD, 40), (PGD | {"beta_atk": "inf-1"}, 60)]),
    (PLAIN, [(PGD, 40), (PGD | {"beta_atk": "inf-1"}, 38)], [(PGD, 88), (PGD | {"beta_atk": "inf-1"}, 45)]),
    (PLAIN, [(PGD, 40), (PGD | {"view": "soft"}, 38)], [(PGD, 88), (PGD | {"view": "soft"}, 45)]),
    (REFERENCE, [(PGD, 40), (AUTO, 38)], [(PGD, 60), (AUTO, 36)]),
    (AUTOATTACK, [(PGD, 40), (AUTO, 38)], [(PGD, 36), (AUTO, 60)]),
    (SHOWN, [(PGD, 40), (AUTO, 38)], [(PGD, 60), (AUTO, 36)]),
]


@pytest.mark.parametrize(("name", "honest", "masked"), CASES)
def test_an_item_passes_and_fails(storage, name, honest, masked):
    evaluate(storage, "a", *honest)
    evaluate(storage, "b", *masked)
    assert statuses(storage, "a")[name] == "passed"
    assert statuses(storage, "b")[name] == "failed"


#: Of 100 examples.
MEASURED = [
    (GRADIENT, {}, {"finite": [1] * 99 + [0]}),
    (GRADIENT, {"gradient": [0] * 3 + [0.1] * 97}, {"gradient": [0] * 4 + [0.1] * 96}),
    (GRADIENT, {"gradient": [SMALLEST] * 100}, {"gradient": [SMALLEST / 2] * 100}),
    (GRADIENT, {"right": 96, "gradient": [0.1] * 96 + [0] * 4}, {"right": 50, "gradient": [0.1] * 40 + [0] * 60}),
    (STEADY, {"disagreement": [0] * 99 + [1e-6]}, {"disagreement": [0] * 99 + [1e-4]}),
    (STEADY, {}, {"disagreement": [0] * 99 + [float("nan")]}),
]


@pytest.mark.parametrize(("name", "sound", "masked"), MEASURED)
def test_a_measured_item_passes_and_fails(storage, name, sound, masked):
    for trial, arrays in (("a", sound), ("b", masked)):
        storage.trial(trial)
        measure(storage, trial, **arrays)
    assert statuses(storage, "a") == {GRADIENT: "passed", STEADY: "passed"}
    assert statuses(storage, "b")[name] == "failed"


def test_measured_figures_are_there(storage):
    storage.trial("a")
    measure(storage, "a", right=80, gradient=[0] * 20 + [1] * 80, disagreement=[0.125] * 100)
    found = items(storage, "a")
    assert found[GRADIENT].figures == "loss not finite for 0.00, gradient 0 for 25.00 of what is right"
    assert found[STEADY].figures == "logits differ by up to 12.5 of the largest"


def test_a_network_that_is_never_right_has_no_gradients_to_miss(storage):
    storage.trial("a")
    measure(storage, "a", right=0, gradient=[0] * 100)
    assert statuses(storage, "a")[GRADIENT] == "passed"


def test_measures_of_other_checkpoints_do_not_count(storage):
    storage.trial("a")
    measure(storage, "a", checkpoint="best", disagreement=[1] * 100)
    assert statuses(storage, "a") == {}


def test_every_item_has_a_case():
    assert {name for name, _, _ in (*CASES, *MEASURED)} == set(ITEMS)


def test_without_evaluations_no_item_was_run(storage):
    storage.trial("a")
    assert statuses(storage, "a", "never-started") == {}
    evaluate(storage, "b", ({"name": "natural"}, 90))
    assert statuses(storage, "b") == {}


def test_the_figures_are_there(storage):
    evaluate(storage, "a", (PGD, 88), (PGD | {"beta_atk": "inf-1"}, 45))
    assert items(storage, "a")[PLAIN] == Item(PLAIN, "failed", "plain 88.00, adaptive 45.00")


def test_the_worst_seed_counts_and_is_named(storage):
    evaluate(storage, "a", (PGD, 40), (AUTO, 39))
    evaluate(storage, "b", (PGD, 60), (AUTO, 36))
    assert items(storage, "a", "b")[REFERENCE] == Item(REFERENCE, "failed", "best other 60.00, AutoAttack 36.00 (seed 1)")


def test_the_sampling_error_is_that_of_a_paired_difference():
    """The quantile of a one-sided normal test at 1 %, and the variance of the difference where 5 % are decided differently."""
    generator = np.random.default_rng(0)
    for n in (100, 360, 10_000):
        worse, better = generator.multinomial(n, [0.025, 0.025, 0.95], size=20_000)[:, :2].T
        difference = 100 * (worse - better) / n
        assert 0.003 < (difference > margin(0, n)).mean() < 0.015
    assert margin(1, 10_000) == pytest.approx(1 + 100 * 2.326 * 0.0022360680)
    assert norm.sf(QUANTILE) == pytest.approx(0.01, rel=1e-2)


@pytest.mark.parametrize(("behind", "status"), [(0, "passed"), (1, "passed"), (2.6, "passed"), (2.7, "failed")])
def test_a_point_and_the_sampling_error_are_allowed_for_random_starts(storage, behind, status):
    evaluate(storage, "a", (FGSM, 40), (PGD, 40 + behind))
    assert statuses(storage, "a")[ITERATIVE] == status


def test_few_examples_have_a_larger_error(storage):
    assert 100 * 4 / 36 > margin(1, 36) > 100 * 3 / 36
    for trial, right in (("a", 27), ("b", 28)):
        storage.trial(trial)
        storage.evaluation(trial, "one", share(24, of=36), spec=FGSM)
        storage.evaluation(trial, "two", share(right, of=36), spec=PGD)
    assert (statuses(storage, "a")[ITERATIVE], statuses(storage, "b")[ITERATIVE]) == ("passed", "failed")


@pytest.mark.parametrize(("gap", "status"), [(4.6, "passed"), (4.7, "failed")])
def test_three_points_and_the_error_are_left_to_autoattack(storage, gap, status):
    evaluate(storage, "a", (PGD, 40), (AUTO, 40 - gap))
    assert {statuses(storage, "a")[name] for name in (REFERENCE, SHOWN)} == {status}


def test_the_tables_own_columns_are_held_against_every_attack(storage):
    """A stronger attack that the table does not show closes no gap."""
    evaluate(storage, "a", (PGD, 77.5), (FINER, 70), (AUTO, 69))
    found = items(storage, "a")
    assert found[REFERENCE].status == "passed"
    assert found[SHOWN] == Item(SHOWN, "failed", "the table 77.50, the strongest known attack 69.00")


def test_iterations_read_out_of_one_run_are_no_evidence(storage):
    evaluate(storage, "a", (PGD, 40), (PGD | {"iterations": 100}, 30))
    assert ITERATIONS not in statuses(storage, "a")


def test_only_attacks_of_one_budget_are_compared(storage):
    evaluate(storage, "a", (PGD, 60), (FINER, 60), (FGSM | {"eps": 0.5}, 1))
    assert ITERATIVE not in statuses(storage, "a")


def test_only_what_differs_in_iterations_alone_is_a_ladder(storage):
    evaluate(storage, "a", (PGD, 30), (FINER | {"restarts": 2}, 60))
    assert ITERATIONS not in statuses(storage, "a")


def test_other_checkpoints_and_heads_do_not_count(storage):
    evaluate(storage, "a", (FGSM, 20))
    storage.evaluation("a", "x", share(600, of=1000), checkpoint="best", spec=PGD)
    storage.evaluation("a", "y", share(600, of=1000), head="1", spec=PGD)
    assert statuses(storage, "a") == {}


def test_a_failed_check_marks_every_row_of_the_arm(storage):
    evaluate(storage, "a", (PGD, 88), (PGD | {"beta_atk": "inf-1"}, 45))
    evaluate(storage, "b", (PGD, 45), (PGD | {"beta_atk": "inf-1"}, 44))
    made = manifest(arm("CAS", ["a"]), arm("Vanilla", ["b"]))
    table = build(storage.load(), made, checkpoint="last", over_beta="minimum")
    assert [bool(row.doubts) for row in table.blocks[0].rows] == [True, False]
    lines = to_text(table).splitlines()
    assert [("†" in line) for line in lines if line.startswith(("last", " "))].count(True) == 1
    assert "plain 88.00, adaptive 45.00" in to_text(table)
    assert PLAIN in to_csv(table)


def test_a_table_without_doubts_has_no_dagger(storage):
    evaluate(storage, "b", (PGD, 45), (PGD | {"beta_atk": "inf-1"}, 44))
    table = build(storage.load(), manifest(arm("Vanilla", ["b"])), checkpoint="last", over_beta="minimum")
    assert "†" not in to_text(table)


def test_every_format_shows_the_doubt(storage):
    evaluate(storage, "a", (PGD, 88), (PGD | {"beta_atk": "inf-1"}, 45))
    table = build(storage.load(), manifest(arm("CAS", ["a"])), checkpoint="last", over_beta="minimum")
    for write in (to_text, to_markdown, to_latex, to_html, to_csv):
        assert "adaptive 45.00" in write(table)
    assert r"\dag{}" in to_latex(table)
    assert to_latex(table).isascii()
