"""The page "Add a defense" is followed to the letter: its file is put together, and its commands are run, on few examples."""

import re
import shlex
from pathlib import Path

import pytest

from tests.support.command_line import advsweep

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "add_a_defense.md"

#: What makes a trial take a second; the page's commands are left as they are otherwise.
SMALLEST = ("--seeds", "1", "--set", "data.examples=64", "--set", "model.width=4", "--set", "training.epochs=1")

BLOCK = re.compile(r"^```(\w+)(?: title=\"([\w.]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """Read the page's code blocks in a language: title and text of each."""
    return [(title, text) for found, title, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if found == language]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_can_be_followed(tmp_path):
    files: dict[str, str] = {}
    for title, text in blocks("python"):
        files[title] = files.get(title, "") + text + "\n\n"
    for title, text in files.items():
        (tmp_path / title).write_text(text, encoding="utf-8")
    commands = [shlex.split(line) for _, text in blocks("sh") for line in text.splitlines()]
    assert [command[:2] for command in commands] == [["advsweep", name] for name in ("plan", "run", "table")]
    for _, name, *arguments in commands:
        done = advsweep(name, *arguments, *(SMALLEST if name in {"plan", "run"} else ()), cwd=tmp_path)
        assert done.code == 0, f"advsweep {name}: {done.err}"
        if name == "plan":
            assert "3 trials asked for" in done.out
    table = (tmp_path / "gate.md").read_text(encoding="utf-8")
    for label in ("Vanilla", "width = 4", "width = 16", "Natural", "FGSM", "PGD-20"):
        assert label in table
