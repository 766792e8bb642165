"""The examples: the notebook runs, the studies can be planned, the package of plugins passes its tests, the script runs."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

import advsweep
from analysis.record.schema import NEVER
from tests.support.handmade_record import Storage, arm, manifest, share
from tests.support.recorded_study import recorded_study

EXAMPLES = Path(__file__).parents[2] / "examples"
GUIDE = EXAMPLES.parent / "docs" / "guides" / "python.md"


def test_the_notebook_runs_and_has_no_outputs(tmp_path, monkeypatch, capsys):
    storage = Storage(tmp_path / "advsweep-results")
    for trial in ("v0", "c0"):
        storage.trial(trial, versions="{}")
        storage.evaluation(trial, "natural", share(9), numerics="{}")
        storage.evaluation(trial, "FGSM0", share(6), numerics="{}", gradient_steps=None)
        broken = [NEVER] * 5 + [0, 1, 2, 3, 4]
        storage.evaluation(trial, "PGD0", share(5), spec={"name": "pgd"}, broken=broken, numerics="{}")
    study = manifest(arm("Vanilla", ["v0"]), arm("CIFS", ["c0"]), study="cifs/table-1", aliases=("robustness",))
    storage.manifest(study)
    monkeypatch.chdir(tmp_path)
    cells = json.loads((EXAMPLES / "notebooks" / "table_and_plot.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in code] == [[]] * len(code)
    names: dict[str, object] = {}
    with mpl.rc_context({"backend": "agg"}):
        for cell in code:
            exec("".join(cell["source"]), names)
        axes = names["plt"].gca()
        lines = {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}
        names["plt"].close("all")
    assert lines.keys() == {"Vanilla", "CIFS"}
    assert lines["CIFS"][0] == pytest.approx(90)
    assert "Vanilla" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "name", "trials"), [("beta.toml", "example/beta", 8), ("objectives.py", "example/objectives", 12)]
)
def test_studies_can_be_planned(file, name, trials, tmp_path):
    made = advsweep.plan(name, profile="demo", study_files=[EXAMPLES / "studies" / file], storage=str(tmp_path / "none"))
    assert len(made.trials) == trials


def test_the_package_of_plugins_passes_its_own_tests(monkeypatch):
    package = EXAMPLES / "plugin_package"
    monkeypatch.setenv("PYTHONPATH", f"{package / 'src'}:{EXAMPLES.parent}")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", package / "tests"]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for inherited in ("TestCorners::test_the_budget_and_the_range_are_kept", "TestGate::test_gradients_reach_every_weight"):
        assert re.search(rf"{inherited}\[.*\] PASSED", done.stdout), inherited


def test_the_cluster_script_says_how_it_is_used():
    done = subprocess.run(["bash", EXAMPLES / "cluster" / "run.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "head | worker HEAD:6379" in done.stderr


def test_the_guides_frames_and_outcomes_are_read_as_printed(tmp_path, monkeypatch, capsys):
    recorded_study(tmp_path / "advsweep-results")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    frames, outcomes = (next(block for block in blocks if word in block) for word in ("advsweep.load()", "outcomes.of("))
    names: dict[str, Any] = {"advsweep": advsweep}
    for block in (frames, outcomes):
        exec(block, names)
    assert "attack_name" in capsys.readouterr().out
    # The accuracy of the same row is the share of ranks that are 0: a Series and a tuple say the same.
    record, row = names["record"], names["row"]
    ranks = record.outcomes.of(row).ranks
    assert (ranks == 0).mean() == pytest.approx(row["accuracy"], abs=1e-6)
    assert names["top_3"] == (ranks < 3).mean()
    same = next(each for each in record.evaluations.itertuples() if (each.evaluation, each.head) == (row.evaluation, "final"))
    assert record.outcomes.of(same).ranks is ranks
    assert record.outcomes.of(dict(row)).ranks is ranks
