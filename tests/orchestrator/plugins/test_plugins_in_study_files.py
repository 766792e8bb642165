"""Plugins in study files: planned, shipped to other processes, and refused with a reason if missing or wrong."""

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from orchestrator.authoring.attack_text import column
from orchestrator.authoring.plugin_template import PLUGINS
from orchestrator.authoring.study_files import find_studies, load
from orchestrator.cli import app
from orchestrator.cost.network_size import multiply_adds
from orchestrator.cost.passes import evaluation_passes, training_passes
from orchestrator.cost.recorded import recorded
from orchestrator.errors import AdvsweepError, BadInput
from orchestrator.execution import cluster
from orchestrator.execution.checkpoints import SourceMissing, source_networks
from orchestrator.execution.job import Job
from orchestrator.planning.expansion import plan
from orchestrator.planning.settings import check_fields, configure, configure_attack
from orchestrator.plugins import shipping
from orchestrator.plugins.preflight import preflight
from search_spaces.settings import Eps
from tests.support.tiny_study import RUNTIME, finish, tiny_plan
from trainables.config import DATASETS, DatasetInfo, Model, NoModule, Runtime, trial_key
from trainables.config.entrance.parsing import reopen
from trainables.config.terms import registry
from trainables.config.terms.passes import FORWARD, WEIGHTS
from trainables.plugins import data

ROOT = Path(__file__).parents[3]

#: The line of the file that registers the module.
LINE = PLUGINS.splitlines().index("@plugins.module(Gate)") + 1

#: Settings of a trial that takes a second.
TINY = {
    "data.dataset": "digits",
    "data.examples": 64,
    "data.validation": 0.25,
    "data.crop": 1,
    "model.name": "resnet-10",
    "model.width": 4,
    "training.epochs": 1,
    "training.batch_size": 16,
}


@pytest.fixture(autouse=True)
def _forgotten(forgotten) -> Iterator[None]:
    """Unregister after each test what it registered, and forget its files."""
    files = dict(shipping._FILES)
    yield
    shipping._FILES.clear()
    shipping._FILES.update(files)


@pytest.fixture
def file(tmp_path) -> Path:
    """A study file with a plugin of every kind."""
    path: Path = tmp_path / "own.py"
    path.write_text(PLUGINS, encoding="utf-8")
    return path


def forget() -> None:
    """Unregister the plugins of the file in this process."""
    for kind in registry.KINDS:
        for name in kind.plugins:
            del kind.entries[name], kind.infos[name]
    reopen()


def tiny(made, store):
    """Return the jobs of a plan, with tiny trials."""
    return [Job.of(trial, store, RUNTIME) for trial in made.trials]


def tiny_plan_of(file, **overrides):
    return plan(load([file]), "demo", seeds=1, overrides={**TINY, **overrides})


# --- a study with them --------------------------------------------------------------------------------------------------


def test_the_template_is_a_study_that_runs_to_its_end(file, store):
    made = tiny_plan_of(file)
    preflight(made)
    assert [t.label for t in made.trials] == ["Vanilla seed 0", "Gate seed 0", "Gate and Focal seed 0"]
    names = {e.attack.name for t in made.trials for e in t.evaluations}
    assert names == {"natural", "pgd", "corners"}
    for job in tiny(made, store):
        finish(job)
    index = store.index(t.key for t in made.trials)
    assert all(t.known and t.recorded.status == "finished" for t in made.against(index).trials)
    row = store.read_trial(made.trials[1].key)
    assert json.loads(row["config"])["module"] == {"name": "gate", "positions": ["block4.1"], "width": 8}
    evaluations = store.read_evaluations(made.trials[1].key)
    assert {json.loads(e["attack_spec"])["iterations"] for e in evaluations if e["attack_name"] == "corners"} == {10}


@pytest.mark.parametrize(
    "settings",
    [
        {"attack.name": "one-step", "attack.eps": 0.1},
        {"model.name": "two-layers", "module.positions": ("all",)},
        {"data.dataset": "dark-digits"},
        {"selection.attack.name": "corners", "selection.attack.eps": 0.1, "objective.name": "focal"},
    ],
    ids=lambda s: next(iter(s.values())),
)
def test_the_other_plugins_of_the_template_run_too(file, store, settings):
    made = tiny_plan_of(file, **{"module.name": "gate", **settings})
    preflight(made)
    work = finish(tiny(made, store)[0])
    assert work.history[0]["natural_accuracy"] >= 0
    assert len(registry.used_plugins(made.trials[0].config)) >= 2


def test_reading_a_file_again_changes_nothing(file):
    first, parts_then = load([file]), registry.plugins()
    assert load([file, file]) == first
    assert registry.plugins() == parts_then


def test_an_edited_file_is_read_again_and_changes_keys(file):
    keys = {t.label: t.key for t in tiny_plan_of(file).trials}
    file.write_text(PLUGINS.replace("z * self.net", "2 * z * self.net"), encoding="utf-8")
    again = {t.label: t.key for t in tiny_plan_of(file).trials}
    assert [label for label in keys if keys[label] == again[label]] == ["Vanilla seed 0"]
    file.write_text(PLUGINS.replace("z * self.net", "2 * z * self.net") + "\n# That was it.\n", encoding="utf-8")
    assert {t.label: t.key for t in tiny_plan_of(file).trials} == again


def test_a_file_of_plugins_alone_serves_any_study_in_any_order(file, tmp_path):
    file.write_text(PLUGINS.partition("# --- the study")[0], encoding="utf-8")
    toml = tmp_path / "study.toml"
    toml.write_text(
        'name = "mine/toml"\ntitle = "T"\ncolumns = ["Natural", "corners(iterations=3)"]\nprofiles.epochs = 100\n'
        '[fixed]\nmodule.name = "gate"\nmodule.width = 4\n',
        encoding="utf-8",
    )
    [study] = load([toml, file])
    [trial] = plan([study], "demo", seeds=1).trials
    assert trial.config.module.width == 4
    assert [study.name for study in find_studies(["cifs/table-1"], [file])] == ["cifs/table-1"]


def test_fields_of_plugins_are_fields_of_trials(file):
    with pytest.raises(BadInput, match=r"^module\.width: no trial has such a field"):
        check_fields(["module.width"])
    load([file])
    check_fields(["module.width", "objective.gamma", "selection.attack.iterations"])
    with pytest.raises(BadInput, match=r"^module\.width = 'wide': must be a valid integer$"):
        configure([{"module.name": "gate", "module.width": "wide"}], {})
    with pytest.raises(BadInput, match=r"^module\.depth = 3: there is no such field with module\.name=gate$"):
        configure([{"module.name": "gate", "module.depth": 3}], {})
    with pytest.raises(BadInput, match=r"^module\.name = 'gte': allowed: 'none', 'cas', 'cifs', 'fsr', 'kwta', 'sap', 'gate'$"):
        configure([{"module.name": "gte"}], {})
    with pytest.raises(BadInput, match=r"^attack corner: name = 'corner': allowed: .*'corners'"):
        configure_attack({"name": "corner", "eps": 0.1})


def test_a_plugin_can_have_the_name_of_a_field(file):
    file.write_text(PLUGINS.replace('"one-step"', '"step"'), encoding="utf-8")
    made = tiny_plan_of(file, **{"attack.name": "step", "attack.eps": 0.1})  # and the demo's attack.step has no effect
    assert made.trials[0].config.attack.name == "step"
    with pytest.raises(BadInput, match=r"^attack\.step = 0\.1: there is no such field with attack\.name=step$"):
        configure([{"attack.name": "step", "attack.eps": 0.1, "attack.step": 0.1}], {})
    with pytest.raises(BadInput, match=r"^attack\.eps = 3: must be less than or equal to 1$"):
        configure([{"attack.name": "step", "attack.eps": 3}], {})


def test_an_attack_on_the_command_line_has_the_eps_of_the_profile(file):
    load([file])
    assert column("corners(iterations=5)").attack == {"name": "corners", "iterations": 5, "eps": Eps()}
    assert column("corners(steps=5)").attack == {"name": "corners", "iterations": 5, "eps": Eps()}


def test_steps_is_a_field_of_attacks_that_declare_it(file):
    fields = "steps: int = 10\n    substeps: int = 2\n    iterations: int = 1"
    file.write_text(PLUGINS.replace("iterations: int = 10", fields), encoding="utf-8")
    load([file])
    typed = {"name": "corners", "steps": 3, "substeps": 4, "eps": Eps()}
    assert column("corners(steps=3, substeps=4)").attack == typed
    made = configure_attack({**typed, "eps": 0.1})
    assert (made.steps, made.substeps, made.iterations) == (3, 4, 1)


# --- what they cost -----------------------------------------------------------------------------------------------------


def test_plugins_have_a_cost(file):
    load([file])
    attack = configure_attack({"name": "corners", "eps": 0.1, "iterations": 7})
    built_in, _ = configure([TINY], {})
    assert evaluation_passes(built_in, attack) == 64 * 7
    mine, _ = configure([TINY, {"objective.name": "focal", "attack.name": "one-step", "attack.eps": 0.1}], {})
    assert mine.objective.passes(True) == 2 * WEIGHTS
    assert training_passes(mine) == 64 * 0.75 * (1 + 2 * WEIGHTS)
    assert FORWARD == 0.5


def test_networks_with_plugins_are_counted(file):
    load([file])
    info, width = DATASETS["digits"], 4
    found = multiply_adds(Model(name="two-layers", width=width), NoModule(), info)
    assert found == 64 * 9 * width + 16 * 9 * width * 2 * width + 2 * width * 10
    with_gate, _ = configure([TINY, {"module.name": "gate", "module.width": 3}], {})
    plain = multiply_adds(with_gate.model, NoModule(), info)
    assert multiply_adds(with_gate.model, with_gate.module, info) == plain + 2 * 32 * 3


# --- in another process -------------------------------------------------------------------------------------------------

PROGRAM = """
import pickle, sys
job = pickle.loads(open(sys.argv[1], "rb").read())
from orchestrator.execution.work import Work
from trainables.config import trial_key
work = Work(job)
while not work.advance().done:
    pass
print(trial_key(job.config), job.key, type(job.config.module).__name__)
"""


def in_another_process(job, folder) -> str:
    """Run a job in another process, in an empty folder; return its output."""
    there = folder / "empty"
    there.mkdir()
    (there / "job").write_bytes(pickle.dumps(job))
    command = [sys.executable, "-c", PROGRAM, "job"]
    done = subprocess.run(
        command, cwd=there, env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_job_ships_its_plugins(file, store, tmp_path):
    folder = tmp_path / "neighbourhood"
    (folder / "near" / "by").mkdir(parents=True)
    (folder / "near" / "__init__.py").write_text("")
    (folder / "near" / "by" / "__init__.py").write_text("from ..far import HALF\n")
    (folder / "near" / "far.py").write_text("HALF = 0.5\n")
    text = PLUGINS.replace("from typing", "from near.by import HALF\nfrom typing", 1).replace("(z * self", "(HALF * z * self")
    moved = folder / "own.py"
    moved.write_text(text, encoding="utf-8")
    job = tiny(tiny_plan_of(moved), store)[1]
    for path in sorted(folder.rglob("*.py")):
        path.unlink()
    assert in_another_process(job, tmp_path) == f"{job.key} {job.key} Gate\n"
    assert store.recorded(job.key).status == "finished"


def test_a_job_without_plugins_ships_none(store, tmp_path):
    job = Job.of(tiny_plan(training__epochs=1).trials[0], store, RUNTIME)
    assert pickle.loads(pickle.dumps(job)) == job
    assert in_another_process(job, tmp_path).startswith(job.key)


def test_another_version_of_a_package_is_refused(file):
    load([file])
    there = shipping.bundle([registry.MODULE.entries["gate"]])
    shipping.unpack(there)
    registry.MODULE.add(registry.renumbered(registry.MODULE.entries["gate"], "another"))
    with pytest.raises(
        BadInput, match=r"^module 'gate' is other code on this node: its package must be installed in the same version"
    ):
        shipping.unpack(there)
    forget()
    with pytest.raises(
        BadInput, match=r"^module 'gate' is not there on this node: its package must be installed in the same version"
    ):
        shipping.unpack(there._replace(files=()))


def test_an_implementation_that_cannot_be_imported_on_another_node_is_refused_before_the_first_trial(file):
    load([file])
    entry = registry.MODULE.entries["gate"]
    registry.MODULE.add(replace(entry, implementation="no_such_package.gate:Gate"))
    with pytest.raises(BadInput, match=r"^module 'gate' cannot be loaded on this node: ModuleNotFoundError: No module named"):
        shipping.load(shipping.bundle([entry]))
    shipping.load(shipping.bundle([]))  # which needs no such module


def test_a_data_set_whose_loader_fails_is_refused_before_the_first_trial(tmp_path):
    def broken(name, data_dir, download):
        raise RuntimeError("half of it is missing\nsomewhere")

    data("broken", DatasetInfo(10, 1, 8, 100, 50))(broken)
    plugin = registry.DATA.entries["broken"]
    said = cluster._data_problem(["digits", "broken"], Runtime(data_dir=str(tmp_path)), shipping.bundle([plugin]))
    assert said == "data set broken cannot be read: RuntimeError: half of it is missing"
    assert cluster._data_problem(["digits"], Runtime(data_dir=str(tmp_path)), shipping.bundle([plugin])) == ""


def test_a_file_that_cannot_be_run_on_another_node_is_refused(file):
    load([file])
    there = shipping.bundle(registry.plugins())
    forget()
    missing = there.files[0]._replace(module="study_file_elsewhere", texts={"own.py": f"import no_such_module\n{PLUGINS}"})
    with pytest.raises(BadInput, match=r"^own\.py cannot be run here: ModuleNotFoundError: No module named 'no_such_module'$"):
        shipping.unpack(there._replace(files=(missing,)))
    assert not registry.plugins()


# --- a record without its file ------------------------------------------------------------------------------------------


def test_a_source_with_an_unregistered_plugin_is_reported_and_the_trial_stays(file, store):
    made = tiny_plan_of(file)
    gate = made.trials[1]
    finish(tiny(made, store)[1])
    forget()
    place = store, "digits", torch.device("cpu")
    attack = configure_attack({"name": "transfer", "source": gate.key, "attack": {"name": "fgsm", "eps": 0.1}})
    with pytest.raises(SourceMissing) as error:
        source_networks(attack, *place)
    expected = f"attack.source = {gate.key}: that trial's module.name = 'gate': allowed: 'none', .*; a plugin needs its"
    assert re.match(expected, str(error.value))
    load([file.rename(file.with_name("again.py"))])
    assert source_networks(attack, *place)


def test_unregistered_plugins_do_not_count_in_an_estimate(file, store):
    made = tiny_plan_of(file)
    for job in tiny(made, store):
        finish(job)
    everything = recorded(store)
    assert {one.network[1] for one in everything.timed} == {"none", "gate"}
    assert "evaluate corners" in {one.work for one in everything.timed}
    forget()
    known = recorded(store)
    assert {one.network[1] for one in known.timed} == {"none"}
    assert {one.work for one in known.timed} == {"train fp32", "evaluate natural", "evaluate pgd"}


# --- mistakes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"gate"] = "gate"', '"cas"] = "cas"', "module 'cas': the name is a built-in's; choose another"),
        (
            "plugins.InsertedModule",
            "nn.Module",
            "module 'gate': must be a class of InsertedModule, and is the class",
        ),
        ("plugins.Silent", "plugins.Trained", "module Gate: its specification must derive from Silent or Predicting"),
        ("plugins.module(Gate)", "plugins.modul(Gate)", "AttributeError: module 'trainables.plugins' has no attri"),
    ],
)
def test_mistakes_name_file_and_line_and_leave_nothing(file, old, new, message):
    before = registry.plugins()
    file.write_text(PLUGINS.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadInput) as error:
        load([file])
    assert str(error.value).replace(f"{file.parent}/", "").startswith(f"own.py, line {LINE}: {message}")
    assert registry.plugins() == before
    file.write_text(PLUGINS, encoding="utf-8")
    assert load([file])


def test_a_name_that_another_file_registered(file):
    other = file.with_name("other.py")
    other.write_text(PLUGINS.replace("mine/beta", "mine/other"), encoding="utf-8")
    with pytest.raises(BadInput) as error:
        load([file, other])
    assert str(error.value) == f"{other}, line {LINE}: module 'gate': the name is taken by {file}"


def test_the_same_name_twice_in_a_file(file):
    file.write_text(
        PLUGINS + "\n\n@plugins.training_attack(OneStep)\ndef other(spec, batch):\n    return batch.x\n", encoding="utf-8"
    )
    with pytest.raises(
        BadInput, match=r"own\.py, line \d+: training attack 'one-step': is registered twice, with different contents$"
    ):
        load([file])


# --- the command line ---------------------------------------------------------------------------------------------------


def advsweep(*arguments: object) -> str:
    """Run a command; return what it prints."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_new_study_with_plugins_can_be_planned_unchanged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "advsweep plan our/gate --study-file gate.py" in advsweep("new-study", "our/gate", "--plugins")
    [study] = load([Path("gate.py")])
    for profile, seeds in (("paper", 3), ("short", 3), ("demo", 2)):
        assert len(plan([study], profile).trials) == 3 * seeds
    planned = advsweep(
        "plan", "our/gate", "--study-file", "gate.py", "--profile", "demo", "--storage", tmp_path / "none", "--json"
    )
    assert '"trials_unique": 6' in planned
    with pytest.raises(BadInput, match=r"^--plugins: are written in Python, and not in \.toml$"):
        advsweep("new-study", "our/gate", "--plugins", "--format", "toml")


def test_a_plan_with_a_plugin_that_breaks_its_contract_is_refused(file):
    file.write_text(PLUGINS.replace("spec.eps * sign).clamp(0, 1)", "3 * spec.eps * sign).clamp(0, 1)"), encoding="utf-8")
    arguments = ["plan", "mine/beta", "--study-file", str(file), "--profile", "demo", "--storage", str(file.parent / "none")]
    with pytest.raises(AdvsweepError, match=r"^attack 'corners': must stay within eps = 0\.125, and went to 0\.37"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_an_external_checkpoint_under_a_plugin_attack(file, tmp_path):
    import torch

    from trainables.models import build_model

    network = build_model(Model(name="resnet-10", width=4), NoModule(), DATASETS["digits"], 0)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    printed = advsweep(
        *("evaluate", "--checkpoint", tmp_path / "weights.pt", "--model", "resnet-10", "--dataset", "digits", "--eps", "0.1"),
        *("--set", "model.width=4", "--set", "data.examples=20", "--attack", "corners(iterations=2)", "--study-file", file),
    )
    assert re.search(r"\d %  corners\(iterations=2\)  \(20 examples\)", printed)


def test_a_file_does_not_change_the_keys_of_built_ins(file):
    before = [t.key for t in tiny_plan().trials]
    load([file])
    assert [t.key for t in tiny_plan().trials] == before
    assert trial_key(tiny_plan().trials[0].config) == before[0]


def test_an_installed_package_registers_its_plugins(tmp_path):
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "__init__.py").write_text("")
    (tmp_path / "gates" / "parts.py").write_text(PLUGINS.partition("# --- the study")[0], encoding="utf-8")
    info = tmp_path / "gates-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gates\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[advsweep.plugins]\ngates = gates.parts\n")

    def command(*arguments):
        program = "from orchestrator.cli import main; main()"
        environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        line = [sys.executable, "-c", program, *map(str, arguments)]
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)

    arguments = ("plan", "cifs/table-1", "--profile", "demo", "--json", "--set", "module.name=gate")
    done = command(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"trials_unique": 2' in done.stdout  # both names are the same module
    (tmp_path / "gates" / "parts.py").write_text("import no_such_module\n")
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stderr == (
        "advsweep: entry point gates = gates.parts of gates: ModuleNotFoundError: No module named 'no_such_module'\n"
    )
