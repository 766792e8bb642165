"""Every number that a paper prints stands in its study's table, whether anything was run or not."""

from pathlib import Path

import pytest

from analysis.record.load import load
from analysis.tables import build
from orchestrator.planning.expansion import plan
from search_spaces.catalog import STUDIES
from search_spaces.study import Study


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_printed_number_has_a_cell_of_the_papers_profile(study: Study, tmp_path: Path) -> None:
    (manifest,) = plan([study], "paper").manifests
    made = build(load(str(tmp_path)), manifest, checkpoint=manifest.checkpoint, over_beta="minimum")
    cells = [cell for block in made.blocks for row in block.rows for cell in row.cells if cell is not None]
    shown = [number for cell in cells for number in (cell.paper, *cell.paper_ends.values()) if number]
    assert sorted(shown, key=repr) == sorted((*manifest.printed, *manifest.cited), key=repr)
