"""Studies of the catalogue, run through the command line on Ray at the smallest budget, and shown in every way.

`make test` runs a selection with every part that any study has but for its attacks, `make test-all` all studies.
"""

import html
import math
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from analysis.figures import frames
from analysis.record.load import Record, load, manifests
from analysis.record.manifest import Manifest
from analysis.tables import build
from orchestrator.api.tables import render
from orchestrator.planning.expansion import plan
from search_spaces.catalog import STUDIES
from search_spaces.column import AnyColumn, Column
from search_spaces.study import Study
from tests.support.command_line import Ended, advsweep, trials

#: A training of two batches, and three test images of each class. PCL's loss begins in the first epoch.
SMALLEST = (
    *("--profile", "demo", "--seeds", "1", "--set", "data.examples=32", "--set", "training.batch_size=16"),
    *("--set", "model.width=4", "--set", "training.epochs=1", "--set", "objective.warmup=0"),
)
#: The limit for the whole sweep, in seconds; two idle cores need less than a third.
SECONDS = 1500.0

#: Studies with a third of the evaluations of the catalogue, and every part that any study has but for its attacks, which the
#: contract tests run.
SELECTED = {
    *("afd/figure-4", "afd/figure-a10", "afd/figure-a3", "afd/table-2", "afd/table-a5", "afd/table-a7", "cas/figure-4"),
    *(
        "cas/figure-8",
        "cas/table-1",
        "cas/table-12",
        "cas/table-4",
        "cas/table-9",
        "cifs/cost",
        "cifs/table-b3",
        "fsr/table-s6",
    ),
    "infofeature/figure-3",
}

EVERY = pytest.mark.parametrize(
    "study",
    [pytest.param(study, id=name, marks=() if name in SELECTED else pytest.mark.slow) for name, study in STUDIES.items()],
)
pytestmark = [
    pytest.mark.ray,
    pytest.mark.xdist_group("every study"),
    pytest.mark.timeout(SECONDS + 300),  # of the test that comes first, because it waits for the sweep
]


class Swept(NamedTuple):
    """A storage that holds ``studies`` in the catalogue's order, its record as analysis reads it, and the sweep's exit."""

    studies: list[Study]
    storage: Path
    record: Record
    manifests: dict[str, Manifest]
    ended: Ended


@pytest.fixture(scope="module")
def swept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """The sweep of all studies that the selected tests need."""
    cases = [item.callspec.params for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    asked = {case["study"].name for case in cases}
    studies = [study for name, study in STUDIES.items() if name in asked]
    storage = tmp_path_factory.mktemp("every") / "storage"
    names = [study.name for study in studies]
    # Compiling Brendel & Bethge's attack takes long, a third less without optimisation, and it runs only for a moment.
    arguments = ("run", *names, *SMALLEST, "--cpus-per-trial", "1", "--storage", storage)
    ended = advsweep(*arguments, seconds=SECONDS, NUMBA_OPT="0")
    record = replace(load(str(storage)), settings=True)
    return Swept(studies, storage, record, {m.study: m for m in manifests(str(storage))}, ended)


def has(study: Study) -> set[tuple[str, object]]:
    """Return the parts of a study: those of its trials, aims, measures, kinds of columns and of figures."""
    found: set[tuple[str, object]] = {("by epoch", bool(study.by_epoch)), ("rows by beta", study.rows_by_beta)}
    for trial in plan([study], "demo", seeds=1).trials:
        config = trial.config
        found |= {("module", config.module.name), ("objective", config.objective.name), ("model", config.model.name)}
        found |= {("view", getattr(e.attack, "view", None)) for e in trial.evaluations}
        found |= {("aim", getattr(e.attack, "beta_atk", None)) for e in trial.evaluations}
        found |= {("measure", m.measure.name) for m in trial.measurements}
    demo = study.profiles["demo"]
    for arm in study.arms(demo):
        found |= {("column", (type(c).__name__, getattr(c, "head", None))) for c in study.columns_of(arm, demo)}
        found |= {("figure", type(figure).__name__) for figure in study.panels_of(arm, demo)}
    return found | {("factor", type(factor).__name__) for factor in study.factors}


def test_the_selection_has_every_part():
    everything = set().union(*map(has, STUDIES.values()))
    assert everything - set().union(*(has(STUDIES[name]) for name in SELECTED)) == set()


def needs_a_module(column: AnyColumn) -> bool:
    """Check whether a column is empty without inserted modules, because it reads or attacks one of them alone."""
    aims = isinstance(column, Column) and column.beta_atk is not None and all(b.startswith("inf") for b in column.beta_atk)
    return aims or (isinstance(column, Column) and column.head != "final")


def test_the_sweep_succeeds_and_prints_every_table(swept):
    assert (swept.ended.code, swept.ended.err) == (0, "")
    assert set(trials(swept.storage).values()) == {"finished"}
    starts = [swept.ended.out.find(f"\n{study.name} (") for study in swept.studies]
    assert starts[0] > 0
    assert all(a < b for a, b in pairwise(starts))


@EVERY
def test_a_table_has_every_row_with_a_number_in_every_cell(swept, study):
    manifest, demo = swept.manifests[study.name], study.profiles["demo"]
    table = build(swept.record, manifest, checkpoint="both", over_beta="minimum")
    arms = {arm.labels: study.columns_of(arm, demo) for arm in study.arms(demo)}
    filled = {arm.labels: arm.columns for arm in manifest.arms}
    modules = dict(zip(swept.record.trials["trial"], swept.record.trials["config.module.name"], strict=True))
    predicting = {arm.labels for arm in manifest.arms if modules[arm.trials["0"]] in {"cas", "cifs"}}
    assert filled.keys() == arms.keys()
    for labels, columns in arms.items():
        assert filled[labels] <= {column.label for column in columns}
        empty = [column for column in columns if column.label not in filled[labels]]
        assert not empty or (labels not in predicting and all(map(needs_a_module, empty)))
    for block in table.blocks:
        assert {row.labels[: len(manifest.factors)] for row in block.rows} == arms.keys()
        for row in block.rows:
            assert (row.seeds, row.asked) == ((0,), 1)
            shown = {c.label: cell for c, cell in zip(table.columns, row.cells, strict=True) if cell is not None}
            # A network that has hardly been trained may have constant features, and so no angle between their changes.
            arrays = {c.label: c.array for c in table.columns}
            numbers = [cell.values[0] for label, cell in shown.items() if arrays[label] != "representation_angle"]
            assert all(map(math.isfinite, numbers)), row
            if not study.rows_by_beta:
                assert shown.keys() == filled[row.labels]
    assert {column.label for column in table.columns} == {label for columns in filled.values() for label in columns}
    for form in ("text", "md", "csv", "html"):
        text = html.unescape(render(table, form))
        assert all(label in text for labels in arms for label in labels)
        assert all(column.label in text for column in table.columns)


@EVERY
def test_a_figure_has_its_values(swept, study):
    manifest, demo = swept.manifests[study.name], study.profiles["demo"]
    arms = study.arms(demo)
    found = frames(swept.record, manifest, "last")
    if study.by_epoch:
        by_epoch = found["by epoch"]
        assert len(by_epoch) == len(arms)
        assert by_epoch[list(study.by_epoch)].notna().all(axis=None)
    for panel in dict.fromkeys(panel.label for arm in arms for panel in study.panels_of(arm, demo)):
        there = found[panel]
        assert there["value"].notna().any()
        shown = {arm.labels for arm in arms if panel in {p.label for p in study.panels_of(arm, demo)}}
        assert set(there[list(manifest.factors)].itertuples(index=False, name=None)) == shown


def test_all_tables_at_once_are_a_page_of_latex(swept, tmp_path):
    file = tmp_path / "tables.tex"
    done = advsweep("table", "*", "--format", "latex", "--output", file, "--storage", swept.storage)
    assert (done.code, done.out, done.err) == (0, "", "")
    tables = file.read_text()
    assert all(rf"\label{{tab:{study.name}}}" in tables for study in swept.studies)
    page = rf"\documentclass{{article}}\usepackage{{booktabs}}\extrafloats{{200}}\begin{{document}}{tables}\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    if shutil.which("pdflatex"):
        latex = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "page.tex"]
        compiled = subprocess.run(latex, cwd=tmp_path, capture_output=True)
        assert compiled.returncode == 0, compiled.stdout[-2000:]


def test_all_figures_at_once(swept, tmp_path):
    done = advsweep("figure", "*", "--output", tmp_path, "--storage", swept.storage)
    assert (done.code, done.err) == (0, "")
    files = sorted(tmp_path.glob("*.csv"))
    assert len(files) == sum(" values in " in line for line in done.out.splitlines())
    assert all(len(pd.read_csv(file)) for file in files)
    figures = [study for study in swept.studies if study.panels or study.by_epoch]
    assert all(any(file.name.startswith(study.name.replace("/", "-")) for file in files) for study in figures)
