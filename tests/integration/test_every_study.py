"""Every study of the catalogue, run through the command line on Ray at the smallest budget, and shown in every way."""

import html
import math
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from command import Ended, advsweep, trials

from analysis.figures import frames
from analysis.load import Record, load, manifests
from analysis.schema import Manifest
from analysis.tables import build
from orchestrator.api.tables import render
from search_spaces.catalog import STUDIES
from search_spaces.column import AnyColumn, Column

#: A training of two batches. PCL's loss, too, is there from the first epoch on.
SMALLEST = (
    *("--profile", "demo", "--seeds", "1"),
    *("--set", "data.examples=64", "--set", "training.epochs=1", "--set", "objective.warmup=0"),
)
#: Of the whole sweep; two idle cores take less than a third of it.
SECONDS = 1500.0

EVERY = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
pytestmark = pytest.mark.timeout(SECONDS + 300)  # of whichever test comes first, for it waits for the sweep


class Swept(NamedTuple):
    """A storage that holds the whole catalogue, what analysis reads of it, and how its sweep ended."""

    storage: Path
    record: Record
    manifests: dict[str, Manifest]
    ended: Ended


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    storage = tmp_path_factory.mktemp("every") / "storage"
    ended = advsweep("run", "*", *SMALLEST, "--cpus-per-trial", "1", "--storage", storage, seconds=SECONDS)
    return Swept(storage, load(str(storage)), {m.study: m for m in manifests(str(storage))}, ended)


def means_nothing(column: AnyColumn) -> bool:
    """Whether a column is empty where no module predicts, for it reads one or attacks one alone."""
    aims = isinstance(column, Column) and column.beta_atk is not None and all(b.startswith("inf") for b in column.beta_atk)
    return aims or (isinstance(column, Column) and column.head != "final")


def test_the_sweep_ends_well_and_shows_every_table(swept):
    assert (swept.ended.code, swept.ended.err) == (0, "")
    assert set(trials(swept.storage).values()) == {"finished"}
    starts = [swept.ended.out.find(f"\n{name} (") for name in STUDIES]
    assert starts[0] > 0
    assert all(a < b for a, b in pairwise(starts))


@EVERY
def test_a_table_has_every_row_with_a_number_in_every_cell(swept, study):
    manifest, demo = swept.manifests[study.name], study.profiles["demo"]
    table = build(swept.record, manifest, checkpoint="both", over_beta="minimum")
    arms = {arm.labels: study.columns_of(arm, demo) for arm in study.arms(demo)}
    reads = {arm.labels: arm.reads.keys() for arm in manifest.arms}
    modules = dict(zip(swept.record.trials["trial"], swept.record.trials["config.module.name"], strict=True))
    predicting = {arm.labels for arm in manifest.arms if modules[arm.trials["0"]] in {"cas", "cifs"}}
    assert reads.keys() == arms.keys()
    for labels, columns in arms.items():
        assert reads[labels] <= {column.label for column in columns}
        empty = [column for column in columns if column.label not in reads[labels]]
        assert not empty or (labels not in predicting and all(map(means_nothing, empty)))
    for block in table.blocks:
        assert {row.labels[: len(manifest.factors)] for row in block.rows} == arms.keys()
        for row in block.rows:
            assert (row.seeds, row.asked) == ((0,), 1)
            shown = {c.label: cell for c, cell in zip(table.columns, row.cells, strict=True) if cell is not None}
            assert all(math.isfinite(cell.values[0]) for cell in shown.values()), row
            if not study.rows_by_beta:
                assert shown.keys() == reads[row.labels]
    assert {column.label for column in table.columns} == {label for columns in reads.values() for label in columns}
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
    for picture in dict.fromkeys(picture.label for arm in arms for picture in study.pictures_of(arm, demo)):
        there = found[picture]
        assert there["value"].notna().any()
        shown = {arm.labels for arm in arms if picture in {p.label for p in study.pictures_of(arm, demo)}}
        assert set(there[list(manifest.factors)].itertuples(index=False, name=None)) == shown


def test_all_tables_at_once_are_a_page_of_latex(swept, tmp_path):
    file = tmp_path / "tables.tex"
    done = advsweep("table", "*", "--format", "latex", "--output", file, "--storage", swept.storage)
    assert (done.code, done.out, done.err) == (0, "", "")
    tables = file.read_text()
    assert all(rf"\label{{tab:{name}}}" in tables for name in STUDIES)
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
    figures = [study for study in STUDIES.values() if study.pictures or study.by_epoch]
    assert all(any(file.name.startswith(study.name.replace("/", "-")) for file in files) for study in figures)
