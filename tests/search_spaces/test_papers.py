"""Every paper's folder has the same form, and names its studies by where they stand in the paper."""

from importlib import import_module
from pathlib import Path

import pytest

from search_spaces import papers
from search_spaces.catalog import STUDIES
from search_spaces.papers.paper import Paper
from search_spaces.profiles import NATURAL, profiles

PROFILES = profiles(epochs=1)
FOLDERS = sorted(folder.name for folder in Path(papers.__file__).parent.iterdir() if (folder / "__init__.py").is_file())


@pytest.mark.parametrize("paper", FOLDERS)
def test_a_paper_is_a_space_tables_and_figures(paper: str) -> None:
    made = import_module(f"search_spaces.papers.{paper}")
    tables, figures = (import_module(f"search_spaces.papers.{paper}.{part}") for part in ("tables", "figures"))
    assert (*tables.TABLES, *figures.FIGURES) == made.STUDIES
    assert {study.paper for study in made.STUDIES} == {paper}
    assert import_module(f"search_spaces.papers.{paper}.space").PAPER.name == paper


def test_every_study_is_of_a_paper_that_has_a_folder() -> None:
    assert sorted({study.paper for study in STUDIES.values()}) == FOLDERS


@pytest.mark.parametrize(
    ("where", "slug", "name"),
    [("Table E.1", None, "mine/table-e1"), ("Figure S1a", None, "mine/figure-s1a"), ("section 3.2", "beta", "mine/beta")],
)
def test_a_study_is_named_by_where_it_stands(where: str, slug: str | None, name: str) -> None:
    study = Paper("mine", "Author, 2024", PROFILES).study(where, "alias", "Title", columns=(NATURAL,), slug=slug)
    assert (study.name, study.names[1], study.reference) == (name, "mine/alias", f"Author, 2024, {where}")
    assert study.profiles is PROFILES
