"""The import contracts of pyproject.toml: all are kept, and a forbidden import breaks each of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("advsweep", "orchestrator", "trainables", "search_spaces", "analysis", "benchmarks")
LINT = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True, check=False)


def test_the_contracts_hold() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("trainables/rng.py", "import ray"),
        ("trainables/config/terms/spec.py", "import pandas"),
        ("benchmarks/training.py", "import ray"),
        ("trainables/trial.py", "import analysis.record.schema"),
        ("search_spaces/study.py", "import pydantic"),
        ("search_spaces/papers/cas/space.py", "import trainables.config"),
        ("analysis/stats.py", "import torch"),
        ("analysis/record/load.py", "import orchestrator.record.store"),
        # a folder on one above it
        ("orchestrator/planning/plan.py", "import orchestrator.execution.sweep"),
        ("orchestrator/record/store.py", "import orchestrator.api.plans"),
        ("trainables/models/network.py", "import trainables.trial"),
        ("trainables/config/terms/spec.py", "import trainables.config.trial"),
        ("trainables/attacks/building_blocks/ball.py", "import trainables.attacks.run"),
        ("search_spaces/factor.py", "import search_spaces.catalog"),
        ("analysis/stats.py", "import analysis.tables"),
        ("analysis/record/schema.py", "import analysis.record.files"),
        # contract tests
        ("advsweep/testing/contract.py", "import advsweep.testing.module"),
        ("advsweep/testing/cases.py", "import analysis.record.schema"),
        ("trainables/plugins/promises.py", "import pytest"),
        # a circle of two files in one folder
        ("trainables/attacks/building_blocks/ball.py", "import trainables.attacks.building_blocks.ascent"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(tmp_path: Path, file: str, line: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / file
    target.write_text(f"{target.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    result = lint(tmp_path)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (("trainables.config",), ("torch", "ray", "mlflow")),
        (("trainables.trial",), ("ray", "mlflow", "optuna", "pandas", "torchvision")),
        (("search_spaces.catalog",), ("torch", "ray", "mlflow", "pydantic", "pandas")),
        (("analysis.tables", "analysis.render"), ("torch", "ray", "mlflow", "optuna")),
        (("advsweep",), ("torch", "ray", "mlflow", "optuna", "pandas", "pydantic", "pytest")),
        (("advsweep.testing",), ("ray", "mlflow", "optuna", "pandas")),
        (("orchestrator.api.plans", "orchestrator.api.tables"), ("torch", "ray", "mlflow", "pandas")),
        (("orchestrator.cli", "orchestrator.planning.plan", "orchestrator.record.store"), ("torch", "ray", "mlflow", "pandas")),
    ],
)
def test_importing_loads_no_more_than_it_needs(modules: tuple[str, ...], absent: tuple[str, ...]) -> None:
    """Planning loads no torch, tables need only the storage, and trials train without Ray, MLflow or Optuna."""
    program = f"import sys, {', '.join(modules)}; print([m for m in {absent!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
