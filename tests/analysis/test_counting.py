"""Columns beside a paper's numbers count by the attack's last iterate; everything that judges counts by any."""

from dataclasses import replace

import pytest

from analysis.record.manifest import Manifest, ManifestArm, ManifestColumn, Read
from analysis.render import to_csv, to_text
from analysis.tables import Counting, Table, build
from tests.support.handmade_record import FGSM, NATURAL, PGD, Storage, arm, manifest, ranks, share

BY_LAST = replace(PGD, last=True)
ENSEMBLE = ManifestColumn("Worst", True, kind="ensemble", last=True)


def both(storage: Storage, study: Manifest) -> dict[Counting, Table]:
    record = storage.load()
    return {c: build(record, study, checkpoint="last", over_beta="minimum", counting=c) for c in ("paper", "any")}


def attacked(storage: Storage, trial: str, any_iterate: str, last: str, attack: str = "PGD0") -> None:
    """A complete evaluation of ten examples, of which so many are right by any iterate, and by the last."""
    by_last = {"last_accuracy": last.count("1") / len(last), "last_ranks": ranks(last)}
    storage.evaluation(trial, attack, any_iterate, complete=True, **by_last)


@pytest.fixture
def study(storage: Storage) -> Manifest:
    """Two seeds whose order by the last iterate is not that by any: 80 and 70, but 20 and 40."""
    for trial, any_iterate, last in (("a", 2, 8), ("b", 4, 7)):
        storage.evaluated(trial, natural=9, FGSM0=9)
        attacked(storage, trial, share(any_iterate), share(last))
    return manifest(arm("Vanilla", ["a", "b"]), columns=(NATURAL, FGSM, BY_LAST))


def test_the_column_has_the_authors_count_and_the_stricter_one_on_demand(storage: Storage, study: Manifest) -> None:
    made = both(storage, study)
    cells = {counting: made[counting].blocks[0].rows[0].cells[2] for counting in made}
    assert {c: cell.values for c, cell in cells.items() if cell} == {
        "paper": pytest.approx({0: 80, 1: 70}),
        "any": pytest.approx({0: 20, 1: 40}),
    }


def test_best_and_worst_seed_count_by_any(storage: Storage, study: Manifest) -> None:
    for table in both(storage, study).values():
        assert (table.blocks[0].rows[0].best, table.blocks[0].rows[0].worst) == (1, 0)


def test_the_table_says_which(storage: Storage, study: Manifest) -> None:
    made = both(storage, study)
    sentence = "PGD-20: an example is right if the attack's last iterate is"
    assert sentence in to_text(made["paper"])
    assert sentence not in to_text(made["any"])
    for counting, expected in (("paper", "last"), ("any", "any")):
        lines = [line for line in to_csv(made[counting]).splitlines() if ",PGD-20," in line]
        assert lines
        assert all(f",PGD-20,{expected}," in line for line in lines)


def test_an_evaluation_that_stopped_at_broken_examples_does_not_serve(storage: Storage) -> None:
    storage.evaluated("a", natural=9, FGSM0=9)
    storage.evaluation("a", "PGD0", share(2), complete=False)
    made = both(storage, manifest(arm("Vanilla", ["a"]), columns=(NATURAL, FGSM, BY_LAST)))
    cells = {counting: made[counting].blocks[0].rows[0].cells[2] for counting in made}
    assert {c: cell.values for c, cell in cells.items() if cell} == {"paper": {}, "any": pytest.approx({0: 20})}
    assert cells["paper"] is not None
    assert "not evaluated yet" in cells["paper"].note


def test_what_has_no_last_iterate_counts_as_it_does(storage: Storage) -> None:
    """AutoAttack counts no steps; a network that draws is judged at the end point."""
    storage.evaluated("a", natural=9, FGSM0=9)
    storage.evaluation("a", "autoattack", share(3))
    storage.evaluation("a", "pgd", share(5), draws=10)
    columns = tuple(ManifestColumn(label, True, last=True) for label in ("AA", "drawn"))
    row = ManifestArm(("V",), {"0": "a"}, {"AA": (Read("autoattack", "0"),), "drawn": (Read("pgd", "0"),)})
    (made,) = both(storage, manifest(row, columns=columns))["paper"].blocks[0].rows
    assert [cell.mean for cell in made.cells if cell] == pytest.approx([30, 50])


def test_an_ensemble_is_of_the_examples_that_each_last_iterate_leaves(storage: Storage) -> None:
    storage.evaluated("a", natural=9)
    attacked(storage, "a", "1100000000", "1111100000", attack="PGD0")
    attacked(storage, "a", "0110000000", "0001111111", attack="FGSM0")
    row = ManifestArm(("V",), {"0": "a"}, {"Worst": (Read("PGD0", "0", column="PGD-20"), Read("FGSM0", "0", column="FGSM"))})
    made = both(storage, manifest(row, columns=(ENSEMBLE,)))
    means = {counting: [cell.mean for cell in made[counting].blocks[0].rows[0].cells if cell] for counting in made}
    assert means == {"paper": pytest.approx([20]), "any": pytest.approx([10])}
