"""A table's numbers, from a record with simple means: ten test examples, ten percent each."""

import io
from dataclasses import replace

import pandas as pd
import pytest

from analysis.record.load import BrokenRecordError
from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn, Read
from analysis.render import to_csv, to_text
from analysis.tables import Cell, Checkpoint, OverBeta, Row, Table, build
from tests.support.handmade_record import FGSM, NATURAL, PGD, Storage, arm, manifest, number, share


def table(storage: Storage, study: Manifest, checkpoint: Checkpoint = "last", over_beta: OverBeta = "minimum") -> Table:
    return build(storage.load(), study, checkpoint=checkpoint, over_beta=over_beta)


def rows(made: Table, block: int = 0) -> dict[tuple[str, ...], Row]:
    return {row.labels: row for row in made.blocks[block].rows}


def means(row: Row) -> list[float | None]:
    return [None if cell is None else cell.mean for cell in row.cells]


def notes(row: Row) -> list[str]:
    return [cell.note if cell else "" for cell in row.cells]


@pytest.fixture
def vanilla(storage: Storage) -> ManifestArm:
    """Two seeds: natural 90 and 70, FGSM 60 and 50, PGD-20 20 and 40."""
    storage.evaluated("v0", natural=9, FGSM0=6, PGD0=2)
    storage.evaluated("v1", natural=7, FGSM0=5, PGD0=4)
    return arm("Vanilla", ["v0", "v1"])


def test_mean_and_deviation_over_seeds(storage: Storage, vanilla: ManifestArm) -> None:
    row = rows(table(storage, manifest(vanilla)))["Vanilla",]
    assert means(row) == pytest.approx([80, 55, 30])
    assert [cell.std for cell in row.cells if cell] == pytest.approx([200**0.5, 50**0.5, 200**0.5])
    assert row.cells[0] is not None
    assert row.cells[0].values == pytest.approx({0: 90, 1: 70})
    assert (row.seeds, row.asked, row.notes) == ((0, 1), 2, ())


def test_best_and_worst_are_one_model_each(storage: Storage, vanilla: ManifestArm) -> None:
    # Seed 1 is behind in natural and FGSM, but its strongest attack leaves it 40 instead of 20.
    row = rows(table(storage, manifest(vanilla)))["Vanilla",]
    assert (row.best, row.worst) == (1, 0)
    assert [cell.values[1] for cell in row.cells if cell] == pytest.approx([70, 50, 40])


def test_rows_that_are_one_training_say_so(storage: Storage, vanilla: ManifestArm) -> None:
    """Settings that override what a row is about leave its label behind."""
    storage.evaluated("c0", natural=8, FGSM0=6, PGD0=3)
    study = manifest(vanilla, replace(vanilla, labels=("CIFS",)), arm("CAS", ["c0"]))
    made = rows(table(storage, study))
    assert made["Vanilla",].notes == made["CIFS",].notes == ("one and the same training: Vanilla; CIFS",)
    assert made["CAS",].notes == ()


def test_seeds_are_in_order_of_their_numbers(storage: Storage) -> None:
    seeds = {str(seed): f"t{seed}" for seed in (10, 9, 2)}
    for trial in seeds.values():
        storage.evaluated(trial, natural=5)
    study = manifest(ManifestArm((), seeds, {"Natural": (Read("natural"),)}), factors=(), columns=(NATURAL,))
    assert rows(table(storage, study))[()].seeds == (2, 9, 10)


def test_what_a_row_says_of_its_attacks_is_a_footnote(storage: Storage) -> None:
    storage.evaluated("v0", natural=9, FGSM0=6, PGD0=2)
    said = replace(arm("Vanilla", ["v0"]), remarks=("autoattack has other parts here",))
    assert table(storage, manifest(said)).notes == ("autoattack has other parts here",)


def test_one_seed_has_no_deviation(storage: Storage) -> None:
    storage.evaluated("v0", natural=9, FGSM0=6, PGD0=2)
    row = rows(table(storage, manifest(arm("Vanilla", ["v0"]))))["Vanilla",]
    assert means(row) == pytest.approx([90, 60, 20])
    assert [cell.std for cell in row.cells if cell] == [None] * 3
    assert (row.best, row.worst) == (0, 0)


@pytest.fixture
def cas(storage: Storage) -> ManifestArm:
    """One seed; FGSM leaves examples 0-5 right under 0 and 3-6 under inf, PGD-20 0-2 and 1-4."""
    storage.trial("c0")
    outcomes = {
        "natural": share(9),
        "FGSM0": "1111110000",
        "FGSMinf": "0001111000",
        "PGD0": "1110000000",
        "PGDinf": "0111100000",
    }
    for attack, right in outcomes.items():
        storage.evaluation("c0", attack, right)
    return arm("CAS", ["c0"], ["0", "inf"])


def test_minimum_and_per_sample_over_beta_differ(storage: Storage, cas: ManifestArm) -> None:
    study = manifest(cas)
    assert means(rows(table(storage, study))["CAS",]) == pytest.approx([90, 40, 30])
    assert means(rows(table(storage, study, over_beta="per-sample"))["CAS",]) == pytest.approx([90, 30, 20])


def test_each_beta_in_a_row(storage: Storage, cas: ManifestArm, vanilla: ManifestArm) -> None:
    made = table(storage, manifest(vanilla, cas), over_beta="each")
    assert made.factors == ("module", "beta_atk")
    found = rows(made)
    assert list(found) == [("Vanilla", "0"), ("CAS", "0"), ("CAS", "inf")]
    assert means(found["CAS", "0"]) == pytest.approx([90, 60, 30])
    assert found["CAS", "inf"].cells[0] is None  # natural accuracy stands in the arm's first row only
    assert means(found["CAS", "inf"])[1:] == pytest.approx([40, 40])


def test_a_study_with_rows_by_beta_ignores_over_beta(storage: Storage, cas: ManifestArm) -> None:
    printed = (number("CAS|0", "Natural", 86.73), number("CAS|inf", "PGD-20", 47.06))
    made = table(storage, manifest(cas, rows_by_beta=True, profile="paper", printed=printed))
    assert made.over_beta == "each"
    papers = {
        labels: [None if cell is None or cell.paper is None else cell.paper.value for cell in row.cells]
        for labels, row in rows(made).items()
    }
    assert papers == {("CAS", "0"): [86.73, None, None], ("CAS", "inf"): [None, None, 47.06]}


def test_a_beta_that_a_column_lacks_leaves_its_cell_empty(storage: Storage, cas: ManifestArm) -> None:
    attacks = {**cas.reads, "FGSM": (Read("FGSM0", "0"),)}
    study = manifest(ManifestArm(cas.labels, cas.trials, attacks), rows_by_beta=True)
    assert means(rows(table(storage, study))["CAS", "inf"]) == [None, None, pytest.approx(40)]


def test_top_k_is_of_complete_evaluations_alone(storage: Storage) -> None:
    top_2 = ManifestColumn("PGD-20, top 2", True, top_k=2)
    attacks = dict.fromkeys(("PGD-20", top_2.label), (Read("PGD0", "0"),))
    study = manifest(ManifestArm(("Vanilla",), {"0": "v0"}, attacks), columns=(PGD, top_2))
    storage.trial("v0")
    storage.evaluation("v0", "PGD0", "1100", complete=False, ranks_of=[0, 0, 1, 1])
    half = rows(table(storage, study))["Vanilla",]
    assert (means(half), notes(half)) == ([pytest.approx(50), None], ["", "seed 0: not evaluated yet"])
    storage.evaluation("v0", "PGD0", "1100", complete=True, ranks_of=[0, 0, 1, 5])
    assert means(rows(table(storage, study))["Vanilla",]) == pytest.approx([50, 75])


def test_a_complete_evaluation_shows_accuracy_too(storage: Storage) -> None:
    storage.trial("v0")
    for attack in ("natural", "FGSM0", "PGD0"):
        storage.evaluation("v0", attack, share(4), complete=True)
    assert means(rows(table(storage, manifest(arm("Vanilla", ["v0"]))))["Vanilla",]) == pytest.approx([40, 40, 40])


def test_a_column_of_a_module_that_the_network_lacks_is_empty(storage: Storage, vanilla: ManifestArm) -> None:
    head = ManifestColumn("PGD-20, module 1", True, "1")
    storage.evaluated("c0", natural=9, PGDinf=5)
    storage.evaluation("c0", "PGDinf", share(1), head="1")
    attacks = {"Natural": (Read("natural"),)} | dict.fromkeys(("PGD-20", "PGD-20, module 1"), (Read("PGDinf", "inf"),))
    without = ManifestArm(vanilla.labels, vanilla.trials, {**vanilla.reads, "PGD-20, module 1": ()})
    study = manifest(without, ManifestArm(("CAS",), {"0": "c0"}, attacks), columns=(NATURAL, PGD, head))
    found = rows(table(storage, study))
    assert means(found["CAS",]) == pytest.approx([90, 50, 10])
    assert found["Vanilla",].cells[2] is None
    assert found["Vanilla",].seeds == (0, 1)
    assert found["CAS",].cells[2] is not None
    assert found["CAS",].cells[2].underline


def test_a_failed_seed_is_left_out_with_a_note(storage: Storage) -> None:
    storage.evaluated("a0", natural=9, FGSM0=6, PGD0=2)
    storage.evaluated("a1", natural=1, FGSM0=1, PGD0=1)
    storage.trial("a1", "failed", "diverged at epoch 5 (loss is nan)", 4)
    row = rows(table(storage, manifest(arm("CAS", ["a0", "a1"]))))["CAS",]
    assert means(row) == pytest.approx([90, 60, 20])
    assert (row.seeds, row.asked) == ((0,), 2)
    assert row.notes == ("seed 1: diverged at epoch 5 (loss is nan)",)


def test_a_training_that_its_patience_ended_is_in_its_table(storage: Storage) -> None:
    storage.evaluated("a0", natural=9, FGSM0=6, PGD0=2)
    storage.trial("a0", epochs=3)  # of five, and finished
    row = rows(table(storage, manifest(arm("CAS", ["a0"]))))["CAS",]
    assert (means(row), row.notes) == (pytest.approx([90, 60, 20]), ())


def test_every_seed_that_is_missing_says_why(storage: Storage) -> None:
    storage.trial("a0", "unfinished", epochs=3)
    storage.trial("a1")
    storage.trial("a2", "failed", epochs=0)
    made = table(storage, manifest(arm("CAS", ["a0", "a1", "a2", "a3"]), arm("CIFS", ["a0"])))
    row = rows(made)["CAS",]
    assert row.notes == (
        "seed 0: unfinished (epoch 3 of 5)",
        "seed 1: trained, not evaluated yet",
        "seed 2: failed",
        "seed 3: not started",
    )
    assert made.notes == row.notes  # the same reason of another arm is the same footnote
    assert means(row) == [None] * 3
    assert (row.seeds, row.asked, row.best, row.worst) == ((), 4, None, None)
    assert made.examples == ()


def test_what_a_seed_lacks_empties_neither_its_row_nor_the_other_seeds(storage: Storage, vanilla: ManifestArm) -> None:
    """FGSM of seed 2 has failed, PGD-20 of seed 1 is not run yet, and all else is shown."""
    storage.evaluated("v1", natural=7, FGSM0=5)
    storage.remove("v1", "PGD0")
    storage.evaluated("v2", natural=5, PGD0=3)
    storage.failure("v2", "FGSM0", "ValueError: too steep")
    made = table(storage, manifest(replace(vanilla, trials={"0": "v0", "1": "v1", "2": "v2"})))
    row = rows(made)["Vanilla",]
    assert means(row) == pytest.approx([70, 55, 25])
    assert [sorted(cell.values) for cell in row.cells if cell] == [[0, 1, 2], [0, 1], [0, 2]]
    assert notes(row) == [
        "",
        "of seeds 0, 1 alone; seed 2: failed: ValueError: too steep",
        "of seeds 0, 2 alone; seed 1: not evaluated yet",
    ]
    assert (row.seeds, row.best, row.worst, row.notes) == ((0, 1, 2), None, None, ("no best and worst: seeds lack attacks",))
    assert made.notes == (*notes(row)[1:], *row.notes)


def test_best_and_worst_are_of_the_seeds_that_have_every_attack(storage: Storage, vanilla: ManifestArm) -> None:
    storage.evaluated("v2", natural=9, FGSM0=9)
    row = rows(table(storage, manifest(replace(vanilla, trials={"0": "v0", "1": "v1", "2": "v2"}))))["Vanilla",]
    assert (row.best, row.worst, row.notes) == (1, 0, ("best and worst of seeds 0, 1",))


def test_a_column_that_no_seed_has_yet_removes_nothing(storage: Storage, vanilla: ManifestArm) -> None:
    before = rows(table(storage, manifest(vanilla)))["Vanilla",]
    later = ManifestColumn("AutoAttack", True, added=True)
    arm_with = replace(vanilla, reads={**vanilla.reads, later.label: (Read("aa"),)})
    row = rows(table(storage, manifest(arm_with, columns=(NATURAL, FGSM, PGD, later))))["Vanilla",]
    assert row.cells[:3] == before.cells
    assert (row.seeds, row.best, row.worst, row.notes) == (before.seeds, before.best, before.worst, before.notes)
    assert row.cells[3] == Cell({}, None, None, None, note="seed 0: not evaluated yet; seed 1: not evaluated yet")


def test_a_failed_trial_shows_what_it_has(storage: Storage) -> None:
    """One that ran out of memory in an attack, say: the attack lacks for that reason."""
    storage.evaluated("a0", natural=9, FGSM0=6)
    storage.trial("a0", "failed", "out of memory: 3 GiB")
    row = rows(table(storage, manifest(arm("CAS", ["a0"]))))["CAS",]
    assert (means(row), notes(row)) == ([90, 60, None], ["", "", "seed 0: out of memory: 3 GiB"])


def test_a_number_supersedes_an_earlier_failure(storage: Storage) -> None:
    storage.evaluated("a0", natural=9, FGSM0=6, PGD0=2)
    storage.failure("a0", "FGSM0", "ValueError: too steep")
    row = rows(table(storage, manifest(arm("CAS", ["a0"]))))["CAS",]
    assert (means(row), notes(row)) == ([90, 60, 20], [""] * 3)


def test_an_early_stopped_seed_is_left_out_with_all_its_results(storage: Storage) -> None:
    storage.evaluated("a0", natural=9, FGSM0=6, PGD0=2)
    storage.evaluated("a1", natural=5, FGSM0=3, PGD0=1)
    storage.trial("a1", "early-stopped", "stopped early after epoch 3 of 5", epochs=3)
    row = rows(table(storage, manifest(arm("CAS", ["a0", "a1"]))))["CAS",]
    assert row.notes == ("seed 1: stopped early after epoch 3 of 5",)
    assert (means(row), row.seeds) == ([90, 60, 20], (0,))


def test_one_missing_beta_is_a_missing_column(storage: Storage) -> None:
    storage.evaluated("a0", natural=9, FGSM0=6, PGD0=2, FGSMinf=5)
    found = rows(table(storage, manifest(arm("CAS", ["a0"], ["0", "inf"]))))
    assert (means(found["CAS",]), notes(found["CAS",])) == ([90, 50, None], ["", "", "seed 0: not evaluated yet"])
    by_beta = rows(table(storage, manifest(arm("CAS", ["a0"], ["0", "inf"])), over_beta="each"))
    assert (means(by_beta["CAS", "0"]), means(by_beta["CAS", "inf"])) == ([90, 60, 20], [None, 50, None])


def test_checkpoints_are_blocks(storage: Storage) -> None:
    storage.evaluated("a0", natural=9, FGSM0=6, PGD0=2)
    storage.evaluated("a0", "best", natural=8, FGSM0=7, PGD0=3)
    study = manifest(arm("CAS", ["a0"]))
    assert [block.checkpoint for block in table(storage, study, "best").blocks] == ["best"]
    both = table(storage, study, "both")
    assert [block.checkpoint for block in both.blocks] == ["last", "best"]
    assert means(rows(both, 0)["CAS",]) == pytest.approx([90, 60, 20])
    assert means(rows(both, 1)["CAS",]) == pytest.approx([80, 70, 30])


def test_bold_is_the_best_of_a_column_and_underlined_the_worst_attack_of_a_row(storage: Storage, vanilla: ManifestArm) -> None:
    storage.evaluated("a0", natural=8, FGSM0=2, PGD0=5)  # natural as good as Vanilla's mean
    cells = [row.cells for row in table(storage, manifest(vanilla, arm("CAS", ["a0"]))).blocks[0].rows]
    assert [[cell.bold for cell in row if cell] for row in cells] == [[True, True, False], [True, False, True]]
    assert [[cell.underline for cell in row if cell] for row in cells] == [[False, False, True], [False, True, False]]


def test_no_row_is_the_best_where_rows_are_seeds(storage: Storage, vanilla: ManifestArm) -> None:
    seeds = [replace(vanilla, labels=(f"seed = {seed}",), trials={seed: key}) for seed, key in vanilla.trials.items()]
    made = table(storage, replace(manifest(*seeds), factors=("seed",)))
    cells = [cell for row in made.blocks[0].rows for cell in row.cells if cell]
    assert not any(cell.bold for cell in cells)
    assert sum(cell.underline for cell in cells) == 2
    assert [row.seeds for row in made.blocks[0].rows] == [(0,), (1,)]


def test_equal_means_share_their_style(storage: Storage) -> None:
    for trial, right in {"a0": 1, "a1": 2, "a2": 6, "b0": 6, "b1": 2, "b2": 1}.items():
        storage.evaluated(trial, FGSM0=right, PGD0=right)
    study = manifest(arm("A", ["a0", "a1", "a2"]), arm("B", ["b0", "b1", "b2"]), columns=(FGSM, PGD))
    cells = [cell for row in table(storage, study).blocks[0].rows for cell in row.cells]
    assert all(isinstance(cell, Cell) and cell.bold and cell.underline for cell in cells)


def test_printed_numbers_are_shown_only_in_the_paper_profile(storage: Storage, vanilla: ManifestArm) -> None:
    printed = (number("Vanilla", "FGSM", 55.11, std=0.2), number("Vanilla", "FGSM", 60.0, checkpoint="best"))

    def papers(profile: str) -> list[float | None]:
        row = rows(table(storage, manifest(vanilla, profile=profile, printed=printed)))["Vanilla",]
        return [None if cell is None or cell.paper is None else cell.paper.value for cell in row.cells]

    assert papers("paper") == [None, 55.11, None]
    assert papers("demo") == [None, None, None]


def test_rows_that_the_paper_quotes_are_shown_without_ours(storage: Storage, vanilla: ManifestArm) -> None:
    """A row that is trained has the quoted number beside its own, and its own printed one before that."""
    cited = (number("JARN", "Natural", 84.8), number("JARN", "FGSM", 65.7), number("Vanilla", "FGSM", 56.1))
    study = replace(manifest(vanilla, profile="paper"), cited=(*cited, number("YOPO", "Natural", 83.99, checkpoint="best")))
    made = table(storage, study)
    own, quoted = made.blocks[0].rows
    assert (own.cited, quoted.cited, quoted.labels, quoted.asked) == (False, True, ("JARN",), 0)
    assert [cell and cell.paper for cell in own.cells] == [None, cited[2], None]
    assert [cell and cell.paper for cell in quoted.cells] == [*cited[:2], None]
    assert ["JARN", "cited", "84.80", "65.70", "–"] in [line.split() for line in to_text(made).splitlines()]
    assert "Rows marked cited are numbers that the paper quotes from other works." in " ".join(to_text(made).split())
    assert [line.split(",")[-9:-7] for line in to_csv(made).splitlines() if ",cited," in line] == [["cited", ""]] * 2
    assert len(table(storage, replace(study, profile="demo")).blocks[0].rows) == 1
    assert Manifest.from_json(study.to_json()) == study


def test_an_accuracy_that_contradicts_its_ranks_is_refused(storage: Storage) -> None:
    """Where single examples count, as in a worst case over attacks, their outcomes are opened and compared."""
    storage.evaluated("a0", natural=9, FGSM0=5, PGD0=5, PGD2=5)
    storage.evaluation("a0", "FGSM2", share(4), accuracy=0.95)
    made = manifest(arm("CAS", ["a0"], ["0", "2"]))
    with pytest.raises(BrokenRecordError, match=r"trial a0, last checkpoint, attack FGSM2, head final: accuracy 0\.95"):
        table(storage, made, over_beta="per-sample")


def test_attacks_of_one_cell_must_share_their_examples(storage: Storage, cas: ManifestArm) -> None:
    storage.evaluation("c0", "PGD1", "10")
    with pytest.raises(BrokenRecordError, match="different numbers of examples"):
        table(storage, manifest(arm("CAS", ["c0"], ["0", "1"], ["PGD-20"])))


def test_a_row_may_show_another_head_than_its_column(storage: Storage) -> None:
    for trial in ("v0", "c0"):
        storage.trial(trial)
        storage.evaluation(trial, "natural", share(9), complete=True)
    storage.evaluation("c0", "natural", share(4), complete=True, head="1")
    own = ManifestColumn("Natural", False, head="1")
    arms = (replace(arm("Vanilla", ["v0"], columns=()), heads={"Natural": "final"}), arm("CAS", ["c0"], columns=()))
    found = rows(table(storage, manifest(*arms, columns=(own,))))
    assert {labels: means(row) for labels, row in found.items()} == {
        ("Vanilla",): [pytest.approx(90)],
        ("CAS",): [pytest.approx(40)],
    }


def test_the_papers_best_and_worst_training_are_shown_with_ours(storage: Storage, vanilla: ManifestArm) -> None:
    printed = (
        number("Vanilla", "Natural", 88.0),
        replace(number("Vanilla", "Natural", 90.6), seed="best"),
        replace(number("Vanilla", "Natural", 89.9), seed="worst"),
    )
    made = table(storage, manifest(vanilla, profile="paper", printed=printed))
    natural, fgsm, _ = rows(made)["Vanilla",].cells
    assert natural is not None
    assert fgsm is not None
    assert natural.paper == printed[0]
    assert natural.paper_ends == {"best": printed[1], "worst": printed[2]}
    assert (fgsm.paper, fgsm.paper_ends) == (None, {})
    lines = to_text(made).splitlines()
    assert [line.split() for line in lines if "paper" in line.split()] == [
        ["paper", "88.00", "–", "–"],
        ["paper", "best", "90.60", "–", "–"],
        ["paper", "worst", "89.90", "–", "–"],
    ]
    csv = pd.read_csv(io.StringIO(to_csv(made)))
    natural_csv = csv[csv["column"] == "Natural"].set_index("statistic")["paper"]
    assert natural_csv.groupby(level=0).first().to_dict() == {"mean": 88.0, "best": 90.6, "worst": 89.9, "seed": 88.0}


def test_numbers_of_older_numerics_are_shown_and_marked(storage: Storage) -> None:
    storage.evaluated("old", natural=9, FGSM0=6, PGD0=2)
    storage.trial("old", versions='{"torch": "2", "numerics": {"training": 1, "module \'cas\'": 1}}')
    study = replace(manifest(arm("CAS", ["new"])), older={"new": ("old",)})
    made = build(storage.load(), study, checkpoint="last", over_beta="minimum", present={"training": 1, "module 'cas'": 2})
    row = rows(made)["CAS",]
    assert means(row) == [90, 60, 20]
    assert row.notes == ("seed 0: recorded under an older numerics of module 'cas'",)
    newest = build(storage.load(), study, checkpoint="last", over_beta="minimum", present={"training": 1, "module 'cas'": 1})
    assert rows(newest)["CAS",].notes == ()
