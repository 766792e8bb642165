"""The list of seeded faults is consistent: each can be seeded, and names existing tests; tests/faults/run.py tries them."""

import ast
from pathlib import Path

import pytest

from tests.faults.fault import ROOT, Fault, faults, files_of, place, product_files

FAULTS = faults()

every_fault = pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])


@pytest.fixture(scope="module")
def files() -> dict[Path, str]:
    return product_files(ROOT)


def test_there_are_enough_and_each_has_a_name() -> None:
    assert len(FAULTS) >= 60
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len({(fault.was, fault.now) for fault in FAULTS}) == len(FAULTS)


@every_fault
def test_a_fault_can_be_seeded(fault: Fault, files: dict[Path, str]) -> None:
    assert fault.now != fault.was
    assert "import " not in fault.was
    text = files[place(fault, files)]
    assert ast.dump(ast.parse(text.replace(fault.was, fault.now))) != ast.dump(ast.parse(text))


@every_fault
def test_the_tests_of_a_fault_exist(fault: Fault) -> None:
    assert fault.tests
    assert files_of(fault, ROOT)
