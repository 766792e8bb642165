"""A new attack needs a specification, an implementation and no other edit: here both are files of a temporary package."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SPECIFICATION = '''
from typing import Literal

from trainables.config.attacks.base import Linf, Scored, Sees
from trainables.config.entrance.lazy import plugin
from trainables.config.terms.registry import ATTACK


@plugin(ATTACK)
class Shade(Linf, Scored):
    """Every pixel darker or lighter by eps, whichever leaves the larger loss."""

    implementation = "shades.darker:attack"
    sees = Sees.SCORES
    iterates = True

    name: Literal["shade"] = "shade"
    iterations: int = 3
'''

IMPLEMENTATION = """
import torch


def attack(spec, case):
    return torch.clamp(case.x - spec.eps, 0, 1)
"""

PLANNED = """
import json, sys
import shades
from orchestrator.authoring.attack_text import column
from orchestrator.cost.passes import evaluation_passes
from orchestrator.planning.expansion import plan
from search_spaces.catalog import STUDIES

made = plan([STUDIES["cifs/table-1"]], "demo", seeds=1, added=[column("shade(iterations=5)")])
trial = made.trials[0]
asked = [e.attack for e in trial.evaluations if e.attack.name == "shade"]
single = asked[0].model_copy(update={"iterations": 1})
print(json.dumps({
    "asked": len(asked),
    "iterations": asked[0].iterations,
    "eps": asked[0].eps,
    "passes": evaluation_passes(trial.config, asked[0]) / evaluation_passes(trial.config, single),
    "traits": [asked[0].sees, asked[0].iterates, asked[0].ensemble],
    "loaded": sorted({"torch", "ray", "shades.darker"} & sys.modules.keys()),
}))
"""

RUN = """
import torch
import shades
from trainables import config
from trainables.attacks import run_attack
from trainables.models import build_model

network = build_model(config.Model(name="resnet-10", width=4), config.NoModule(), config.DATASETS["digits"], seed=0).eval()
x, y = torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
found = run_attack(shades.Shade(eps=0.1), network, x, y, (1.0,), torch.Generator(), complete=True)
assert torch.equal(found.images, (x - 0.1).clamp(0, 1))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "shades"
    folder.mkdir()
    (folder / "__init__.py").write_text(SPECIFICATION)
    (folder / "darker.py").write_text(IMPLEMENTATION)
    return folder


def python(program: str, package: Path) -> str:
    path = f"{package.parent}:{Path(__file__).parents[3]}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": path}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_planned_and_costed_without_torch(package):
    found = json.loads(python(PLANNED, package))
    assert found["loaded"] == []
    assert (found["asked"], found["iterations"], found["eps"]) == (2, 5, 0.125)
    assert found["passes"] == 5
    assert found["traits"] == ["scores", True, False]


def test_it_runs(package):
    python(RUN, package)


def test_editing_its_implementation_changes_its_key_and_a_comment_does_not(package):
    key = "import shades; from trainables import config; print(config.attack_key(shades.Shade(eps=0.1)))"
    before = python(key, package)
    darker = package / "darker.py"
    darker.write_text(f"# darker\n{IMPLEMENTATION}")
    assert python(key, package) == before
    darker.write_text(IMPLEMENTATION.replace("- spec.eps", "+ spec.eps"))
    assert python(key, package) != before


@pytest.mark.parametrize(
    "line", ["from shades import hue", "from shades.hue import HUE", "import shades.hue", "from . import hue"]
)
def test_editing_what_its_implementation_imports_changes_its_key(package, line):
    """Nothing of it is imported to find out."""
    key = "import shades; from trainables import config; print(config.attack_key(shades.Shade(eps=0.1)))"
    (package / "darker.py").write_text(f"{line}\n{IMPLEMENTATION}")
    keys = []
    for hue in ("HUE = 1\n", "HUE = 1  # more or less\n", "from shades.deep import *\n"):
        (package / "hue.py").write_text(hue)
        (package / "deep.py").write_text("HUE = 1\n")
        keys.append(python(key, package))
    (package / "deep.py").write_text("HUE = 2\n")
    keys.append(python(key, package))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_specification_without_its_traits_is_refused(package):
    for old, new, reason in (
        ("    sees = Sees.SCORES\n", "", "attack 'shade': Shade must say what it sees of the network"),
        ("shades.darker:attack", "shades.lighter:attack", "there is no module shades.lighter"),
        ("shades.darker:attack", "shades.darker", "must be written like package.module:name"),
        ('"shade"] = "shade"', '"pgd"] = "pgd"', "attack 'pgd': the name is a built-in's"),
    ):
        (package / "__init__.py").write_text(SPECIFICATION.replace(old, new))
        program = "import sys\ntry:\n    import shades\nexcept ValueError as error:\n    print(error)"
        assert reason in python(program, package)


def test_it_is_held_to_what_attacks_promise(package):
    """As a decorated one is."""
    (package / "darker.py").write_text(IMPLEMENTATION.replace("spec.eps", "2 * spec.eps"))
    failing = "try:\n    " + RUN.strip().replace("\n", "\n    ") + "\nexcept Exception as error:\n    print(error)\n"
    assert python(failing, package) == "attack 'shade': must stay within eps = 0.1, and went to 0.2\n"
