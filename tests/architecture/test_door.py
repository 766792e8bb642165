"""The Python API ``advsweep``: its names exist, are documented, and are loaded only when they are used."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import advsweep

FUNCTIONS = sorted(name for name in advsweep.__all__ if inspect.isfunction(getattr(advsweep, name)))


def test_every_name_exists_and_is_listed():
    assert {name for name in advsweep.__all__ if not hasattr(advsweep, name)} == set()
    assert set(advsweep.__all__) <= set(dir(advsweep))
    assert {"load", "table", "plan", "run", "search", "evaluate", "load_model"} <= set(FUNCTIONS)


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'tabel'"):
        advsweep.tabel  # noqa: B018


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_documented_signature(name):
    function = getattr(advsweep, name)
    docstring = inspect.getdoc(function)
    assert docstring
    parameters = inspect.signature(function).parameters.values()
    assert all(p.annotation is not p.empty for p in parameters)
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty
    if name not in {"tables", "figures"}:  # of their singulars
        assert ">>> import advsweep" in docstring
        assert "Raises:" in docstring


def test_a_plan_loads_neither_torch_nor_ray():
    program = (
        "import sys, advsweep; advsweep.plan('cifs/table-5', profile='demo', storage='none');"
        "print([m for m in ('torch', 'ray', 'mlflow', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_contract_tests_say_that_they_need_pytest():
    program = "import sys; sys.modules['pytest'] = None; import advsweep; import advsweep.testing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.endswith("ModuleNotFoundError: advsweep.testing needs pytest: pip install 'advsweep[testing]'\n")


def test_every_contract_is_there_and_documented():
    from advsweep import testing
    from trainables.config.terms.registry import KINDS

    contracts = {name for name in testing.__all__ if name.endswith("Contract")} - {"Contract", "LearnerContract"}
    assert len(contracts) == len(KINDS)
    page = (Path(__file__).parents[2] / "docs" / "guides" / "testing.md").read_text(encoding="utf-8")
    assert {name for name in contracts if f"`{name}`" not in page} == set()
