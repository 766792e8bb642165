"""The documentation's references: the files and anchors that it links to, and the options that it names, exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from orchestrator.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])

#: Made from the code when the documentation is built.
GENERATED = {ROOT / "docs" / "reference" / f"{page}.md" for page in ("commands", "built_ins")}

FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"```\w*[^\n]*\n(.*?)```|`([^`]+)`", re.DOTALL)
OPTION = re.compile(r"--[a-z][a-z-]*")

OPTIONS = {
    name: {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for name, command in typer.main.get_command(app).commands.items()
}


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as MkDocs and most viewers make them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_targets_of_links_exist(page):
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists() or target in GENERATED, f"{link} leads nowhere"
        if anchor and target not in GENERATED:
            assert anchor in anchors(target), f"{link}: there is no such heading"


def commands(text: str) -> Iterator[list[str]]:
    """List the command lines in the code of a page, each split into words."""
    for block, line in CODE.findall(text):
        for each in (block or " ".join(line.split())).replace("\\\n", " ").splitlines():
            if match := re.match(r"(?:\$ )?(advsweep [a-z].*)", each.strip()):
                yield shlex.split(match[1], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_documented_commands_and_options_exist(page):
    text = page.read_text(encoding="utf-8")
    for _, command, *words in commands(text):
        assert command in OPTIONS, f"advsweep {command}: there is no such command"
        for word in words:
            option = word.partition("=")[0]
            assert not option.startswith("--") or option in OPTIONS[command], f"advsweep {command} has no {option}"


#: Of other programs.
OTHERS = {"--array", "--exclude", "--wrap", "--head", "--strict", "--version", "--workers"}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)  # it names what was
def test_options_named_in_passing_exist(page):
    every = set().union(*OPTIONS.values()) | OTHERS
    named = {
        option for block, line in CODE.findall(page.read_text(encoding="utf-8")) for option in OPTION.findall(block or line)
    }
    assert named <= every, f"no command has {', '.join(sorted(named - every))}"


def test_the_menu_lists_every_page():
    menu = set(re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    there = {page.relative_to(ROOT / "docs").as_posix() for page in [*(ROOT / "docs").rglob("*.md"), *GENERATED]}
    assert menu == there
