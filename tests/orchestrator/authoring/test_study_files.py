"""User-defined studies: Python and TOML files are read alike, and every mistake in them is one line."""

import re
import sys
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from typer.testing import CliRunner

from orchestrator.api.tables import find_manifests
from orchestrator.authoring.study_files import find_studies, load
from orchestrator.authoring.study_templates import PYTHON, TOML
from orchestrator.cli import app
from orchestrator.errors import BadInput
from orchestrator.planning.expansion import plan
from orchestrator.record.store import Store
from search_spaces.catalog import STUDIES
from search_spaces.column import Column
from search_spaces.profiles import ATTACKS, NATURAL, profiles
from search_spaces.settings import Eps
from search_spaces.study import Arm, Study

#: The least that is a study.
LEAST = 'name = "mine/least"\ntitle = "A title"\ncolumns = ["Natural"]\nprofiles.epochs = 100\n'
FACTOR = '[[factors]]\nname = "b"\nsymbol = "β"\nfield = "module.beta"\nlevels = [1, 2]\ndefault = 1\n'
CIFS = '[fixed]\nmodule.name = "cifs"\n'


@pytest.fixture
def own(tmp_path):
    """Return a function that writes a study file and loads it."""

    def write(name: str, text: str) -> tuple[Study, ...]:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return load([file])

    return write


@pytest.fixture
def refused(own, tmp_path):
    """Return a function that loads an invalid file and returns its error, one line in which the path is the file's name."""

    def check(name: str, text: str) -> str:
        with pytest.raises(BadInput) as error:
            own(name, text)
        assert "\n" not in str(error.value)
        return str(error.value).replace(f"{tmp_path}/", "")

    return check


# --- the two forms ------------------------------------------------------------------------------------------------------


def test_python_and_toml_say_the_same(own):
    (python,), (toml,) = own("beta.py", PYTHON), own("beta.toml", TOML)
    assert python == toml
    assert python.factors[0].distribution == toml.factors[0].distribution == FloatDistribution(0.1, 100, log=True)


def test_every_field_is_read(own):
    (study,) = own("beta.toml", TOML)
    assert (study.name, study.aliases, study.reference, study.checkpoint) == ("mine/beta", (), "own study", "last")
    assert [level.label for level in study.factors[0].levels] == ["β = 0.1", "β = 1", "β = 10"]
    assert study.columns == (NATURAL, *(Column(name, ATTACKS[name], None) for name in ("FGSM", "PGD-20")))
    assert study.profiles == profiles(epochs=100)
    assert study.fixed["module.positions"] == ("P2", "P1")
    assert study.baselines == (Arm(("Vanilla",), {"module.name": "none"}),)


def test_several_in_a_python_file(own):
    two = (
        PYTHON.replace("STUDY =", "ONE =") + 'from dataclasses import replace\nSTUDIES = [ONE, replace(ONE, name="mine/two")]\n'
    )
    assert [study.name for study in own("two.py", two)] == ["mine/beta", "mine/two"]


def test_a_python_file_may_import_its_neighbours(own, tmp_path):
    (tmp_path / "neighbour_of_a_study.py").write_text("NAME = 'mine/near'\n")
    text = PYTHON.replace('name="mine/beta"', "name=NAME").replace(
        "from optuna", "from neighbour_of_a_study import NAME\nfrom optuna"
    )
    path = list(sys.path)
    assert own("near.py", text)[0].name == "mine/near"
    assert sys.path == path


def test_output_of_a_python_file_does_not_appear_on_stdout(own, capsys):
    own("loud.py", f"print('here I am')\n{PYTHON}")
    assert capsys.readouterr() == ("", "here I am\n")


def test_the_smallest_study(own):
    (study,) = own("least.toml", LEAST)
    assert study == Study("mine/least", (), "own study", "A title", (), (NATURAL,), profiles(epochs=100))


def test_profiles_and_seeds(own):
    more = 'profiles.eps = "4/255"\nprofiles.free = ["training.lr"]\nprofiles.demo.training.momentum = 0.8\n'
    (study,) = own("more.toml", f"seeds = 5\n{LEAST}{more}")
    expected = profiles(epochs=100, eps=4 / 255, free=("training.lr",), demo={"training.momentum": 0.8})
    assert {name: p.pins for name, p in study.profiles.items()} == {name: p.pins for name, p in expected.items()}
    assert {(p.seeds, p.eps) for name, p in study.profiles.items() if name != "demo"} == {(5, 4 / 255)}
    assert study.profiles["demo"].seeds == 5


def test_values_that_toml_lacks(own):
    fixed = '[fixed]\nattack.step = "eps/4"\nattack.eps = "8/255"\nselection.attack.eps = "2 * eps"\nobjective.name = "at"\n'
    (study,) = own("values.toml", LEAST + fixed)
    assert study.fixed == {
        "attack.step": Eps(1 / 4),
        "attack.eps": 8 / 255,
        "selection.attack.eps": Eps(2),
        "objective.name": "at",
    }
    (study,) = own("null.toml", LEAST + '[fixed]\nattack = "null"\nobjective.name = "standard"\n')
    assert all(t.config.attack is None for t in plan([study], "demo").trials)


def test_factors_of_every_kind(own):
    text = (
        LEAST
        + CIFS
        + FACTOR
        + '[[factors]]\nname = "k"\nsymbol = "k"\nfield = "module.top_k"\nlevels = [1, 2]\ndefault = 2\n'
        + "search = {low = 1, high = 5}\n"
        + '[[factors]]\nname = "step"\nsymbol = "α"\nfield = "attack.step"\nlevels = ["eps/4", "eps/10"]\ndefault = "eps/4"\n'
        + '[[factors]]\nname = "imgf"\nsymbol = "IMGF"\ndefault = "hard"\nlevels = [\n'
        + '{label = "soft", settings = {module.imgf.name = "softmax", module.imgf.T = 1.0}},\n'
        + '{label = "hard", settings = {module.imgf.name = "sigmoid"}}]\n'
    )
    (study,) = own("factors.toml", text)
    beta, k, step, imgf = study.factors
    assert beta.distribution == CategoricalDistribution(["β = 1", "β = 2"])
    assert k.distribution == IntDistribution(1, 5)
    assert [(level.label, level.settings) for level in step.levels] == [
        ("α = eps/4", {"attack.step": Eps(1 / 4)}),
        ("α = eps/10", {"attack.step": Eps(1 / 10)}),
    ]
    assert imgf.levels[0].settings == {"module.imgf.name": "softmax", "module.imgf.T": 1.0}
    assert imgf.default == "hard"
    assert len(plan([study], "paper", seeds=1).trials) == 16


def test_columns_by_name_and_as_attacks(own):
    columns = 'columns = ["CW∞", "pgd(iterations=50, restarts=5)", "autoattack"]'
    (study,) = own("columns.toml", LEAST.replace('columns = ["Natural"]', columns))
    assert [column.label for column in study.columns] == ["CW∞", "pgd(iterations=50, restarts=5)", "autoattack"]
    assert study.columns[1].attack["step"] == Eps(1 / 10)


def test_the_guides_example_is_a_study(own):
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "studies.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    assert plan(own("guide.toml", example), "demo").trials


# --- mistakes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (\n", "a.py, line 1: SyntaxError: '(' was never closed"),
        ("import os\n\n1 / 0\n", "a.py, line 3: ZeroDivisionError: division by zero"),
        ("def f():\n    raise ValueError('two\\nlines')\n\nf()\n", "a.py, line 2: ValueError: two lines"),
        ("import json\njson.loads('')\n", "a.py, line 2: JSONDecodeError: "),
        ("import no_such_module\n", "a.py, line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit\n", "a.py, line 1: SystemExit"),
        (
            PYTHON.replace("default=1.0", "default=3.0"),
            "a.py, line 15: ValueError: factor beta: default 'β = 3' must be one of",
        ),
        ("", "a.py: must have STUDY (a search_spaces.study.Study) or STUDIES (several); it has neither"),
        ("STUDY = STUDIES = 1\n", "a.py: must have STUDY (a search_spaces.study.Study) or STUDIES (several); it has STUDY and"),
        ("STUDY = 'beta'\n", "a.py: STUDY must be of search_spaces.study.Study, and has a str"),
        ("STUDIES = [1]\n", "a.py: STUDIES must be of search_spaces.study.Study, and has a int"),
        ("STUDIES = []\n", "a.py: STUDIES must be a list or tuple of search_spaces.study.Study, and not empty"),
        (
            PYTHON.replace('"module.beta"', '"module.bta"'),
            "a.py: study 'mine/beta': factor beta, level 'β = 0.1': module.bta: ",
        ),
        (PYTHON.replace('Arm(("Vanilla",)', "Arm(()"), "a.py: study 'mine/beta': baselines: labels []: must be one for each"),
        (PYTHON.replace('checkpoint="last"', 'checkpoint="first"'), "a.py: study 'mine/beta': checkpoint = 'first': allowed: "),
        (
            PYTHON.replace("profiles=profiles(epochs=100, eps=8 / 255)", "profiles={}"),
            "a.py: study 'mine/beta': profiles: must",
        ),
        (PYTHON.replace("(NATURAL, *att", "('Natural', *att"), "a.py: study 'mine/beta' makes no plan: AttributeError: 'str'"),
    ],
)
def test_mistakes_in_python_name_file_and_line(refused, text, message):
    assert refused("a.py", text).startswith(message)


ALLOWED = "name, title, reference, aliases, columns, checkpoint, seeds, profiles, fixed, factors, baselines"
NAMES = "Natural, FGSM, PGD-20, PGD-100, C&W, CW∞"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "no TOML: Invalid value (at "),
        # keys
        (f"titel = 'x'\n{LEAST}", f"titel: there is no such key; allowed: {ALLOWED}"),
        (LEAST.replace("title =", "titel ="), f"titel: there is no such key; allowed: {ALLOWED}"),
        (LEAST.replace('title = "A title"', ""), "title: is missing"),
        (f"{LEAST}profiles.epoch = 3\n", "profiles.epoch: there is no such key; allowed: epochs, eps, free, demo"),
        (
            f"{LEAST}{FACTOR}range = 3\n",
            "factors.0.range: there is no such key; allowed: name, symbol, field, levels, default, ",
        ),
        (
            f"{LEAST}{FACTOR}search = {{low = 1, hi = 2}}\n",
            "factors.0.search.hi: there is no such key; allowed: low, high, log",
        ),
        (f"{LEAST}[[baselines]]\nlabel = 'x'\n", "baselines.0.label: there is no such key; allowed: labels, settings"),
        # types
        (LEAST.replace('"A title"', "3"), "title = 3: must be a valid string"),
        (LEAST.replace('"A title"', '""'), "title = '': must not be empty"),
        (LEAST.replace('["Natural"]', '"Natural"'), "columns = 'Natural': must be a list"),
        (LEAST.replace('["Natural"]', "[]"), "columns = []: must not be empty"),
        (LEAST.replace("profiles.epochs = 100", "profiles = 3"), "profiles = 3: must be a table"),
        (LEAST.replace("100", "'many'"), "profiles.epochs = 'many': must be a valid integer"),
        (LEAST.replace("100", "0"), "profiles.epochs = 0: must be greater than or equal to 1"),
        (f"{LEAST}profiles.eps = 8\n", "profiles.eps = 8: must be less than or equal to 1"),
        (f"{LEAST}profiles.eps = 'eps/2'\n", "profiles.eps = 'eps/2': must be a valid number"),
        (f"seeds = 0\n{LEAST}", "seeds = 0: must be greater than or equal to 1"),
        (f"checkpoint = 'first'\n{LEAST}", "checkpoint = 'first': allowed: 'best', 'last' or 'both'"),
        (f"factors = 3\n{LEAST}", "factors = 3: must be a list"),
        (
            f"{LEAST}fixed.training.lr = 2020-01-01\n",
            "fixed: training.lr = 2020-01-01: must be a number, a text, true, false or",
        ),
        # names
        (LEAST.replace("mine/least", "least"), "study 'least': name = 'least': must be two words with a slash between them"),
        (f"aliases = ['My Study']\n{LEAST}", "study 'mine/least': name = 'mine/My Study': must be two words with a slash"),
        # columns
        (
            LEAST.replace('["Natural"]', '["Natural", "PGD-30"]'),
            f"columns.1: 'PGD-30': write a name, or a name and fields as in pgd(iterations=100, restarts=5); or one of {NAMES}",
        ),
        (LEAST.replace('["Natural"]', '["FGSM", "FGSM"]'), "columns.1 = 'FGSM': is there twice"),
        (
            LEAST.replace('"Natural"', '"pdg"'),
            "study 'mine/least': profile paper: attack pdg: name = 'pdg': allowed: 'natural', ",
        ),
        # factors
        (f"{LEAST}{FACTOR.replace('[1, 2]', '[]')}", "factors.0.levels = []: must not be empty"),
        (f"{LEAST}{FACTOR.replace('[1, 2]', '[1, [2]]')}", "factors.0.levels.1: must be a number, a text, true or false"),
        (
            f"{LEAST}{FACTOR.replace('default = 1', 'default = 3')}",
            "factors.0: factor b: default 'β = 3' must be one of ['β = 1'",
        ),
        (
            f"{LEAST}{CIFS}{FACTOR}" + 2 * "[[baselines]]\nlabels = ['Vanilla']\nsettings.module.name = 'none'\n",
            "baselines: labels ['Vanilla'] must differ",
        ),
        (f"{LEAST}{FACTOR.replace('[1, 2]', '[1, 1]')}", "factors.0: factor b: labels ['β = 1', 'β = 1'] must differ"),
        (f"{LEAST}{FACTOR}search = {{low = 3, high = 2}}\n", "factors.0: "),
        (
            LEAST
            + FACTOR.replace("[1, 2]", "['a', 'b']").replace("default = 1", "default = 'a'")
            + "search = {low = 1, high = 2}",
            "factors.0: search: is for levels that are numbers, and not for ['a', 'b']",
        ),
        (
            f"{LEAST}[[factors]]\nname = 'b'\nsymbol = 'b'\ndefault = 'x'\nlevels = [{{label = 'x'}}]\n",
            "factors.0.levels.0.settings: is missing",
        ),
        (
            f"{LEAST}[[factors]]\nname = 'b'\nsymbol = 'b'\ndefault = 'x'\nlevels = [{{label = 'x', settings = {{}}}}]\n",
            "factors.0.levels.0.settings: must set at least one field, such as module.beta",
        ),
        (
            f"{LEAST}[[factors]]\nname = 'b'\nsymbol = 'b'\ndefault = 'x'\nlevels = [{{label = 'x', set = 3}}]\n",
            "factors.0.levels.0.set: there is no such key; allowed: label, settings",
        ),
        # fields
        (f"{LEAST}fixed.module.bta = 1\n", "fixed: module.bta: no trial has such a field; did you mean 'module.beta'?"),
        (f"{LEAST}fixed.sed = 1\n", "fixed: sed: no trial has such a field; did you mean 'seed'?"),
        (
            f"{LEAST}{FACTOR.replace('module.beta', 'seed')}",
            "factors.0: factor b: what sets the seed must be named 'seed', and set nothing else",
        ),
        (
            f"{LEAST}{FACTOR.replace('module.beta', 'modul.beta')}",
            "factors.0.field: modul.beta: no trial has such a field; did you mean 'module.beta'?",
        ),
        (f"{LEAST}profiles.free = ['lr']\n", "profiles.free.0: lr: no trial has such a field; did you mean "),
        (
            f"{LEAST}profiles.demo.training.rate = 1\n",
            "profiles.demo: training.rate: no trial has such a field; did you mean 'training.lr'?",
        ),
        (f"{LEAST}fixed.training.lr = -1\n", "study 'mine/least': profile paper: training.lr = -1: must be greater than 0"),
        (
            f"{LEAST}fixed.module.top_k = 2\n",
            "study 'mine/least': profile paper: module.top_k = 2: there is no such field with module.name=none",
        ),
        # baselines
        (
            f"{LEAST}{CIFS}{FACTOR}[[baselines]]\nlabels = []\nsettings.module.name = 'none'\n",
            "study 'mine/least': baselines: labels []: must be one for each factor (b)",
        ),
    ],
)
def test_mistakes_in_toml_name_key_and_what_is_allowed(refused, text, message):
    assert refused("a.toml", text).startswith(f"a.toml: {message}")


def test_files_that_cannot_be_read(refused, tmp_path):
    assert refused("a.yaml", "") == "--study-file 'a.yaml': must be a .py or a .toml file"
    with pytest.raises(BadInput, match=r"^--study-file '.*none\.py' cannot be read: No such file or directory$"):
        load([tmp_path / "none.py"])
    (tmp_path / "latin.py").write_bytes(b"\xe9")
    with pytest.raises(BadInput, match=r"^--study-file '.*latin\.py' cannot be read: is not UTF-8$"):
        load([tmp_path / "latin.py"])


# --- names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "aliases", "message"),
    [
        ("cifs/table-1", "[]", "study 'cifs/table-1': the name 'cifs/table-1' is taken by 'cifs/table-1' of the catalogue"),
        ("cifs/beta", "[]", "study 'cifs/beta': the name 'cifs/beta' is taken by 'cifs/table-e1' of the catalogue"),
        ("cifs/mine", '["beta"]', "study 'cifs/mine': the name 'cifs/beta' is taken by 'cifs/table-e1' of the catalogue"),
        ("mine/x", '["x"]', "study 'mine/x': the name 'mine/x' is taken by 'mine/x' of a.toml"),
    ],
)
def test_a_name_of_the_catalogue(refused, name, aliases, message):
    text = LEAST.replace("mine/least", name)
    assert refused("a.toml", f"aliases = {aliases}\n{text}") == f"a.toml: {message}"


def test_a_name_of_another_file(own, tmp_path):
    own("a.toml", LEAST), own("b.toml", LEAST)
    a, b = tmp_path / "a.toml", tmp_path / "b.toml"
    with pytest.raises(BadInput) as error:
        load([a, b])
    assert str(error.value) == f"{b}: study 'mine/least': the name 'mine/least' is taken by 'mine/least' of {a}"
    assert len(load([a, a])) == 1


def test_user_defined_studies_are_found_as_the_catalogues_are(own, tmp_path):
    own("a.toml", f'aliases = ["small"]\n{LEAST}')
    files = [tmp_path / "a.toml"]
    for pattern in ("mine/least", "mine/small", "mine/*", "*/least"):
        assert [study.name for study in find_studies([pattern], files)] == ["mine/least"]
    assert [study.name for study in find_studies(["*"], files)] == [*STUDIES, "mine/least"]
    with pytest.raises(BadInput, match=r"^unknown study 'mine/leest'; did you mean 'mine/least'\?$"):
        find_studies(["mine/leest"], files)
    with pytest.raises(BadInput, match=r"^unknown study 'mine/least'; "):
        find_studies(["mine/least"])


def test_what_was_run_is_found_without_the_file(own, tmp_path):
    studies = own("a.toml", f'aliases = ["small"]\n{LEAST}')
    store = Store(str(tmp_path / "storage"))
    for manifest in plan([*studies, STUDIES["cifs/table-1"]], "demo").manifests:
        store.write_manifest(manifest)
    for pattern in ("mine/least", "mine/small", "mine/*", "mine/sm*"):
        assert [m.study for m in find_manifests(store.uri, pattern, None)] == ["mine/least"]
    assert [m.study for m in find_manifests(store.uri, "*", None)] == ["cifs/table-1", "mine/least"]
    for pattern, message in {
        "mine/other": "no study 'mine/other' in .*, which holds: cifs/table-1 (demo), mine/least (demo)",
        "mine/o*": "no study of 'mine/o*' was run on .* yet; run it with `advsweep run mine/o*`",
        "cifs/table-2": "no study 'cifs/table-2' in .*, which holds: ",
        "cifs/table-55": "unknown study 'cifs/table-55'; did you mean 'cifs/table-5'?",
        "cifs/figure-2": "'cifs/figure-2' is left out: a diagram of the module",
    }.items():
        with pytest.raises(BadInput, match="^" + re.escape(message).replace(r"\.\*", ".*")):
            find_manifests(store.uri, pattern, None)


def test_each_variant_that_was_run_is_found(own, tmp_path):
    studies = own("a.toml", LEAST)
    store = Store(str(tmp_path / "storage"))
    every = [{}, {"training.lr": 0.5}, {"training.lr": 0.5, "training.epochs": 3}]
    for settings in every:
        (made,) = plan(studies, "demo", overrides=settings).manifests
        store.write_manifest(made)
        for pattern in ("mine/least", "mine/*"):
            assert [m.path for m in find_manifests(store.uri, pattern, settings=settings)] == [made.path]
            assert [m.path for m in find_manifests(store.uri, pattern, variant=made.variant)] == [made.path]
    for asked, said in (({"settings": {"training.lr": 1}}, "--set"), ({"variant": "paper"}, "--variant paper")):
        with pytest.raises(
            BadInput, match=f"^{said}: 'mine/\\*' was not run so, but as demo, demo@training.epochs=3@training.lr"
        ):
            find_manifests(store.uri, "mine/*", **asked)


# --- the command line ---------------------------------------------------------------------------------------------------


def advsweep(*arguments: object) -> str:
    """Run a command, and return what it prints."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("form", ["py", "toml"])
def test_a_new_study_can_be_run_as_it_is(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    advsweep("new-study", "mine/beta", "--format", form)
    [study] = load([Path(f"beta.{form}")])
    for profile, seeds in (("paper", 3), ("short", 3), ("demo", 2)):
        made = plan([study], profile)
        assert len(made.trials) == 4 * seeds
        assert [arm.labels for arm in made.manifests[0].arms] == [("Vanilla",), ("β = 0.1",), ("β = 1",), ("β = 10",)]
    assert '"trials_unique": 8' in advsweep(
        "plan", "mine/beta", "--study-file", f"beta.{form}", "--profile", "demo", "--storage", tmp_path / "none", "--json"
    )
    assert '"name": "mine/beta"' in advsweep("studies", "mine/*", "--study-file", f"beta.{form}", "--json")


def test_the_toml_that_is_commented_out_is_right(own):
    text = "\n".join(
        re.sub(r"^# (?=seeds|free|demo|\[\[|name|symbol|default|levels|  \{|\])", "", line) for line in TOML.splitlines()
    )
    (study,) = own("all.toml", text.replace('"Vanilla"', '"Vanilla", "-"'))
    assert [factor.name for factor in study.factors] == ["beta", "imgf"]
    assert len(plan([study], "demo").trials) == 7 * 5


def test_a_new_study_has_the_name_and_place_that_it_is_given(tmp_path):
    file = tmp_path / "there.toml"
    advsweep("new-study", "our-group/probes", "--output", file)
    assert [study.name for study in load([file])] == ["our-group/probes"]
    assert "advsweep plan our-group/probes --study-file there.toml" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("beta",), "name = 'beta': must be two words with a slash between them, such as mine/beta"),
        (("cifs/beta",), "name = 'cifs/beta': is taken by 'cifs/table-e1' of the catalogue"),
        (("mine/x", "--output", "there.py"), "--output 'there.py': is there already and stays as it is"),
        (("mine/x", "--output", "x.txt"), "--output 'x.txt': must end in .py or .toml"),
        (("mine/x", "--output", "x.py", "--format", "toml"), "--output 'x.py': must end in .toml"),
        (("mine/x", "--output", "none/x.py"), "--output 'none/x.py' cannot be written: No such file or directory"),
    ],
)
def test_a_new_study_that_is_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("there.py").write_text("kept")
    with pytest.raises(BadInput) as error:
        advsweep("new-study", *arguments)
    assert str(error.value).startswith(message)
    assert [(file.name, file.read_text()) for file in Path().iterdir()] == [("there.py", "kept")]
