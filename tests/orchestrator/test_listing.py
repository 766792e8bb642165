"""What there is, listed by kind, with fields and traits: built-ins and plugins."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from orchestrator.api.listing import LISTS, fields, listing
from orchestrator.authoring.plugin_template import PLUGINS
from orchestrator.errors import BadInput
from orchestrator.plugins import shipping
from tests.support.command_line import here
from trainables.config.entrance.parsing import reopen
from trainables.config.terms import registry

KINDS = [what for what in LISTS if what != "fields"]


@pytest.fixture
def file(tmp_path):
    """A study file with a plugin of most kinds, which are forgotten after the test."""
    restore, files = registry.restorable(), dict(shipping._FILES)
    path = tmp_path / "own.py"
    path.write_text(PLUGINS, encoding="utf-8")
    yield path
    restore()
    reopen()
    shipping._FILES.clear()
    shipping._FILES.update(files)


def test_every_kind_has_its_list():
    assert len(KINDS) == len(registry.KINDS)
    listed = {frozenset(each.name for each in listing(what)) for what in KINDS}
    assert listed == {frozenset(kind.entries) for kind in registry.KINDS}


@pytest.mark.parametrize("what", KINDS)
def test_every_built_in_says_what_it_and_its_fields_and_traits_are(what):
    for each in listing(what):
        assert each.plugin is None
        assert each.meaning
        assert "\n" not in each.meaning
        assert [part.name for part in (*each.fields, *each.traits) if not part.meaning] == [], each.name


def test_every_field_of_trials_says_what_it_is():
    assert [field.name for field in fields() if not field.meaning] == []


def test_a_single_one():
    (only,) = listing("attacks", "square")
    assert only == next(each for each in listing("attacks") if each.name == "square")
    assert {trait.name: trait.value for trait in only.traits if trait.name in {"sees", "iterates"}} == {
        "sees": "scores",
        "iterates": True,
    }
    (p,) = (field for field in only.fields if field.name == "p")
    assert (p.type, p.range, p.default, p.required) == ("number", "> 0, <= 1", 0.8, False)


def test_fields_below_a_name():
    assert {field.name for field in fields("training.schedule")} == {
        *("training.schedule", "training.schedule.name", "training.schedule.milestones"),
        *("training.schedule.gamma", "training.schedule.peak"),
    }


def test_data_sets_and_models_have_what_all_of_them_can_be_set_to():
    (digits,), (lenet,) = listing("datasets", "digits"), listing("models", "lenet")
    assert {trait.name: trait.value for trait in digits.traits}["classes"] == 10
    assert [field.name for field in digits.fields] == ["validation", "crop", "flip", "examples"]
    assert [(trait.name, trait.value) for trait in lenet.traits] == [("positions", ["block1.1", "block2.1"])]
    assert [field.name for field in lenet.fields] == ["width", "normalise", "mean", "std", "unit_features"]


def test_plugins(file):
    with pytest.raises(BadInput, match="list modules 'gate'"):
        listing("modules", "gate")
    (gate,) = listing("modules", "gate", study_files=[file])
    assert gate.plugin == str(file)
    assert gate.meaning == "Channels are weighed by a small network of their means (Hu et al., CVPR 2018)"
    assert ("width", 8) in [(field.name, field.default) for field in gate.fields]
    (corners,) = listing("attacks", "corners")
    assert {trait.name: trait.value for trait in corners.traits}["sees"] == "scores"
    assert [each.plugin for each in (*listing("models", "two-layers"), *listing("datasets", "dark-digits"))] == [str(file)] * 2
    assert listing("datasets", "dark-digits")[0].meaning == "Handwritten digits with half the contrast"
    assert [field.of for field in fields("module.width")] == [("gate",)]


@pytest.mark.parametrize("arguments", [("attacks",), ("attacks", "apgd"), ("modules", "fsr"), ("fields",), ("fields", "data")])
def test_the_command_prints_what_the_function_returns(arguments, tmp_path):
    what, *name = arguments
    found = fields(*name) if what == "fields" else listing(what, *name)
    done = here("list", *arguments, "--json", cwd=tmp_path)
    assert json.loads(done.out) == json.loads(json.dumps([asdict(each) for each in found]))
    shown = here("list", *arguments, cwd=tmp_path, COLUMNS="2000").out
    for each in found:
        assert each.name in shown
        assert each.meaning in shown
    if name == ["apgd"]:
        assert "3 with loss=dlr; 4 with loss=targeted-dlr" in shown


def test_the_command_alone_says_what_can_be_listed(tmp_path):
    assert json.loads(here("list", "--json", cwd=tmp_path).out) == dict(LISTS)
    shown = here("list", cwd=tmp_path).out
    assert all(what in shown for what in LISTS)


def test_a_plugins_file_is_shown(file, tmp_path):
    shown = here("list", "modules", "--study-file", file, cwd=tmp_path, COLUMNS="2000").out
    assert f"(plugin of {file})" in shown


def test_built_ins_are_listed_without_torch():
    program = (
        "import sys, advsweep; [advsweep.listing(what) for what in sys.argv[1:]]; advsweep.fields();"
        "print(sorted({'torch', 'ray', 'mlflow', 'pandas'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program, *KINDS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
