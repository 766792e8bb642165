"""Every output format, of one table that has every feature."""

import html
import io
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from analysis.render import to_csv, to_html, to_latex, to_markdown, to_rich, to_text
from analysis.tables import Table, build
from tests.support.handmade_record import Storage, arm, manifest, number


@pytest.fixture
def table(storage: Storage) -> Table:
    """Vanilla with two seeds, CAS_β with one of two, CIFS with none; the paper's numbers for Vanilla."""
    storage.evaluated("v0", natural=9, FGSM0=6, PGD0=2)
    storage.evaluated("v1", natural=7, FGSM0=5, PGD0=4)
    storage.evaluated("a0", natural=10, FGSM0=3, PGD0=5, FGSMinf=1, PGDinf=0)
    storage.trial("a1", "failed", "diverged at epoch 5 (loss is nan)", 4)
    storage.trial("f0", "unfinished", epochs=3)
    printed = (number("Vanilla", "Natural", 84.56), number("Vanilla", "PGD-20", 46.62, std=0.25))
    arms = (arm("Vanilla", ["v0", "v1"]), arm("CAS_β | 50%", ["a0", "a1"], ["0", "inf"]), arm("CIFS <k>", ["f0", "f1"]))
    study = manifest(*arms, profile="paper", overrides={"training.epochs": 5}, printed=printed)
    return build(storage.load(), study, checkpoint="last", over_beta="minimum")


TEXT = """\
cifs/modules (Table 1): CIFS & its rivals, β = 2

 ckpt  module       seed       Natural         FGSM           PGD-20           seeds
 ───────────────────────────────────────────────────────────────────────────────────────
 last  Vanilla      mean        80.00 ± 14.14  55.00 ± 7.07*  30.00 ± 14.14*↓  2/2
                    best (1)    70.00          50.00          40.00
                    worst (0)   90.00          60.00          20.00
                    paper       84.56          –              46.62 ± 0.25

       CAS_β | 50%  0          100.00*         10.00           0.00↓           1/2 [1]
       CIFS <k>     mean       –               –              –                0/2 [2,3]

Profile paper, training.epochs = 5. Accuracy in percent on 10 test examples. Of several beta_atk, the minimum of the
accuracies. Mean ± sample standard deviation over seeds; best and worst: one seed for the whole row, by its strongest
attack.
* best mean of the column; ↓ strongest attack of the row
[1] seed 1: diverged at epoch 5 (loss is nan)
[2] seed 0: unfinished (epoch 3 of 5)
[3] seed 1: not started
"""


def test_text(table: Table) -> None:
    assert to_text(table) == TEXT


def test_text_wraps_sentences_but_never_numbers(table: Table) -> None:
    narrow = to_text(table, width=40)
    assert "80.00 ± 14.14" in narrow
    assert max(len(line) for line in narrow.splitlines()) < 100


def test_a_number_of_fewer_seeds_is_marked_in_every_format(storage: Storage) -> None:
    storage.evaluated("v0", natural=9, FGSM0=6, PGD0=2)
    storage.evaluated("v1", natural=7, PGD0=4)
    storage.failure("v1", "FGSM0", "ValueError: a & b")
    made = build(storage.load(), manifest(arm("CAS", ["v0", "v1"])), checkpoint="last", over_beta="minimum")
    note = "of seed 0 alone; seed 1: failed: ValueError: a & b"
    assert [line.split() for line in to_text(made).splitlines() if "/2" in line] == [
        ["last", "CAS", "mean", "80.00", "±", "14.14*", "60.00", "[1]*", "30.00", "±", "14.14*↓", "2/2", "[2]"]
    ]
    assert f"[1] {note}" in to_text(made)
    assert "**60.00 [1]**" in to_markdown(made)
    assert f"[1] {note}" in to_markdown(made)
    assert r"\textbf{60.00 [1]}" in to_latex(made)
    assert r"[1] of seed 0 alone; seed 1: failed: ValueError: a \& b" in to_latex(made)
    assert ">60.00 [1]<" in to_html(made)
    assert "[1] of seed 0 alone; seed 1: failed: ValueError: a &amp; b" in to_html(made)
    frame = pd.read_csv(io.StringIO(to_csv(made)), dtype=str)
    mean = frame[(frame["column"] == "FGSM") & (frame["statistic"] == "mean")]
    assert mean[["seeds", "value", "finished"]].to_numpy().tolist() == [["0", "60.0", "2"]]
    assert mean["notes"].item().startswith(note)
    assert frame[frame["column"] == "FGSM"]["statistic"].tolist() == ["mean", "seed"]


def test_the_best_checkpoint_says_how_it_was_chosen(storage: Storage) -> None:
    for selection, words in {"validation": "the validation split.", "test": "the TEST split (as in the paper)."}.items():
        made = build(storage.load(), manifest(selection=selection), checkpoint="both", over_beta="each")
        assert f"Best checkpoint chosen on {words}" in to_text(made)
    assert "Best checkpoint" not in to_text(build(storage.load(), manifest(), checkpoint="last", over_beta="each"))


def test_the_caption_says_how_beta_was_reduced(storage: Storage) -> None:
    study = manifest(arm("CAS", ["a0"], ["0", "inf"]))
    ways = {"minimum": "minimum of the accuracies", "per-sample": "per-sample worst case", "each": "A row for each beta_atk"}
    for way, words in ways.items():
        assert words in to_text(build(storage.load(), study, checkpoint="last", over_beta=way))
    assert "beta_atk" not in to_text(build(storage.load(), manifest(arm("AT", ["a0"])), checkpoint="last", over_beta="minimum"))


def test_checkpoints_and_rows_by_beta_in_text(storage: Storage) -> None:
    for checkpoint in ("last", "best"):
        storage.evaluated("a0", checkpoint, natural=9, FGSM0=6, PGD0=2, FGSMinf=5, PGDinf=4)
    study = manifest(arm("CAS", ["a0"], ["0", "inf"]), rows_by_beta=True)
    text = to_text(build(storage.load(), study, checkpoint="both", over_beta="minimum"))
    assert [line.split() for line in text.splitlines()[2:9] if line][:1] == [
        ["ckpt", "module", "beta_atk", "seed", "Natural", "FGSM", "PGD-20", "seeds"]
    ]
    assert [line.split() for line in text.splitlines()[4:9]] == [
        ["last", "CAS", "0", "0", "90.00*", "60.00*", "20.00↓", "1/1"],
        ["∞", "0", "–", "50.00", "40.00*↓", "1/1"],
        [],
        ["best", "CAS", "0", "0", "90.00*", "60.00*", "20.00↓", "1/1"],
        ["∞", "0", "–", "50.00", "40.00*↓", "1/1"],
    ]


def test_terminal_styles(table: Table) -> None:
    console = Console(width=120, file=io.StringIO(), force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(to_rich(table))
    shown = capture.get()
    assert "\x1b[1m55.00 ± 7.07\x1b[0m" in shown
    assert "\x1b[1;4m30.00 ± 14.14\x1b[0m" in shown
    assert "\x1b[4m0.00\x1b[0m" in shown
    assert "[2,3]" in shown  # brackets are no markup


def test_markdown(table: Table) -> None:
    lines = to_markdown(table).splitlines()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
    assert lines[0] == "**cifs/modules (Table 1): CIFS & its rivals, β = 2**"
    assert rows[0] == ["ckpt", "module", "seed", "Natural", "FGSM", "PGD-20", "seeds"]
    assert rows[2:] == [
        ["last", "Vanilla", "mean", "80.00 ± 14.14", "**55.00 ± 7.07**", "**<u>30.00 ± 14.14</u>**", "2/2"],
        ["", "", "best (1)", "70.00", "50.00", "40.00", ""],
        ["", "", "worst (0)", "90.00", "60.00", "20.00", ""],
        ["", "", "paper", "84.56", "–", "46.62 ± 0.25", ""],
        ["", r"CAS_β \| 50%", "0", "**100.00**", "10.00", "<u>0.00</u>", "1/2 [1]"],
        ["", r"CIFS \<k>", "mean", "–", "–", "–", "0/2 [2,3]"],
    ]
    assert "[3] seed 1: not started" in lines


def test_latex(table: Table) -> None:
    latex = to_latex(table)
    body = latex.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert body == [
        r"last & Vanilla & mean & 80.00 $\pm$ 14.14 & \textbf{55.00 $\pm$ 7.07} & "
        r"\textbf{\underline{30.00 $\pm$ 14.14}} & 2/2 \\",
        r" &  & best (1) & 70.00 & 50.00 & 40.00 &  \\",
        r" &  & worst (0) & 90.00 & 60.00 & 20.00 &  \\",
        r" &  & paper & 84.56 & -- & 46.62 $\pm$ 0.25 &  \\",
        r"\addlinespace  & CAS\_$\beta$ $|$ 50\% & 0 & \textbf{100.00} & 10.00 & \underline{0.00} & 1/2 [1] \\",
        r" & CIFS $<$k$>$ & mean & -- & -- & -- & 0/2 [2,3] \\",
    ]
    assert r"\caption{cifs/modules (Table 1): CIFS \& its rivals, $\beta$ = 2. Profile paper" in latex
    assert r"beta\_atk" in latex
    assert r"\label{tab:cifs/modules}" in latex
    assert r"\begin{tabular}{lllllll}" in latex
    for environment in ("table", "tabular"):
        assert latex.count(f"\\begin{{{environment}}}") == latex.count(f"\\end{{{environment}}}") == 1
    assert latex.isascii()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles_with_booktabs_alone(table: Table, tmp_path: Path) -> None:
    page = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{to_latex(table)}\\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    subprocess.run(["pdflatex", "-halt-on-error", "-interaction=batchmode", "page.tex"], cwd=tmp_path, check=True)


def test_latex_puts_a_rule_between_checkpoints(storage: Storage) -> None:
    made = build(storage.load(), manifest(arm("CAS", ["a0"])), checkpoint="both", over_beta="minimum")
    assert r"\midrule best & CAS & mean & -- & -- & -- & 0/1 [1] \\" in to_latex(made)


def test_html(table: Table) -> None:
    page = to_html(table)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    assert cells[:7] == ["last", "Vanilla", "mean", "80.00 ± 14.14", "55.00 ± 7.07", "30.00 ± 14.14", "2/2"]
    assert "CIFS &lt;k&gt;" in cells
    assert "CIFS &amp; its rivals" in page
    bold, underlined = (
        set(re.findall(r"_(row\d+_col\d+)", "".join(re.findall(f"([^}}]*){{[^}}]*{css}", page))))
        for css in ("bold", "underline")
    )
    assert (bold, underlined) == ({"row0_col4", "row0_col5", "row4_col3"}, {"row0_col5", "row4_col5"})


def test_html_of_a_table_is_reproducible_and_has_its_own_identifiers(table: Table) -> None:
    assert to_html(table) == to_html(table)
    best = replace(table, blocks=(replace(table.blocks[0], checkpoint="best"),))
    names = [re.findall(r'<table id="([\w-]+)"', to_html(each)) for each in (table, best)]
    assert names[0] != names[1]


def test_csv_holds_the_numbers(table: Table) -> None:
    frame = pd.read_csv(io.StringIO(to_csv(table)), dtype={"seeds": str})
    assert set(frame["study"]) == {"cifs/modules"}
    assert set(frame["profile"]) == {"paper"}
    for row in table.blocks[0].rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            assert cell is not None
            lines = frame[(frame["module"] == row.labels[0]) & (frame["column"] == column.label)].set_index("statistic")
            assert lines["finished"].unique().tolist() == [len(row.seeds)]
            assert lines["asked"].unique().tolist() == [row.asked]
            mean = lines.loc["mean"]
            assert (None if pd.isna(mean["value"]) else mean["value"]) == cell.mean
            assert (None if pd.isna(mean["std"]) else mean["std"]) == cell.std
            assert (None if pd.isna(mean["paper"]) else mean["paper"]) == (cell.paper and cell.paper.value)
            seeds = lines[lines.index == "seed"]
            assert dict(zip(seeds["seeds"].astype(int), seeds["value"], strict=True)) == cell.values
            if row.best is not None and row.worst is not None:
                assert (lines.loc["best", "seeds"], lines.loc["worst", "seeds"]) == (str(row.best), str(row.worst))
                assert (lines.loc["best", "value"], lines.loc["worst", "value"]) == (
                    cell.values[row.best],
                    cell.values[row.worst],
                )
    vanilla = frame[(frame["module"] == "Vanilla") & (frame["statistic"] == "mean")]
    assert vanilla["seeds"].tolist() == ["0 1"] * 3
    assert vanilla["value"].tolist() == pytest.approx([80, 55, 30])
    assert frame[frame["module"] == "CIFS <k>"]["notes"].unique().tolist() == [
        "seed 0: unfinished (epoch 3 of 5); seed 1: not started"
    ]


def test_csv_has_no_line_for_a_column_that_does_not_apply(storage: Storage) -> None:
    storage.evaluated("a0", natural=9, FGSM0=6, PGD0=2, FGSMinf=5, PGDinf=4)
    study = manifest(arm("CAS", ["a0"], ["0", "inf"]), rows_by_beta=True)
    frame = pd.read_csv(io.StringIO(to_csv(build(storage.load(), study, checkpoint="last", over_beta="each"))), dtype=str)
    assert set(frame[frame["beta_atk"] == "inf"]["column"]) == {"FGSM", "PGD-20"}


@pytest.mark.parametrize("render", [to_text, to_markdown, to_latex, to_html, to_csv])
def test_a_study_without_factors_or_results_can_be_printed(storage: Storage, render: Callable[[Table], str]) -> None:
    empty = build(storage.load(), manifest(factors=()), checkpoint="both", over_beta="minimum")
    assert render(empty)


@pytest.mark.parametrize("render", [to_text, to_markdown, to_latex, to_csv, to_html])
@pytest.mark.parametrize("name", ["top-{k}", "{0}", "{", "}}", "{x!r:{w}}", "%s [b]"])
def test_a_name_that_looks_like_a_template_is_printed_as_it_is(
    storage: Storage, render: Callable[[Table], str], name: str
) -> None:
    storage.evaluated("v0", natural=9, FGSM0=6, PGD0=2)
    study = manifest(arm(name, ["v0"]), factors=(name,), title=name)
    text = render(build(storage.load(), study, checkpoint="last", over_beta="minimum"))
    written = name.replace("{", r"\{").replace("}", r"\}").replace("%", r"\%") if render is to_latex else name
    assert text.count(html.escape(written) if render is to_html else written) >= 2
