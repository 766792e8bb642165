"""The product's folders, files and functions are of a size that is read at once."""

from pathlib import Path

import pytest

from tests.architecture import sizes


def too_large(found: dict[str, int], most: int) -> dict[str, int]:
    return {name: size for name, size in found.items() if size > most}


def test_no_folder_has_more_than_a_dozen_files() -> None:
    assert too_large(sizes.folders(), 12) == {}


def test_no_file_is_longer_than_300_lines() -> None:
    assert too_large(sizes.lines(), 300) == {}


def test_no_function_is_longer_than_60_lines() -> None:
    assert too_large(sizes.functions(), 60) == {}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A product of one folder, the command line's."""
    monkeypatch.setattr(sizes, "ROOT", tmp_path)
    folder = tmp_path / "orchestrator" / "cli"
    folder.mkdir(parents=True)
    return folder


def test_what_is_too_large_is_seen(house: Path) -> None:
    body = "\n".join(["    x = 0"] * 60)
    (house / "long.py").write_text(f"def _long():\n{body}\n" + "\n" * 240, encoding="utf-8")
    for i in range(12):
        (house / f"file_{i}.py").touch()
    (house / "__init__.py").touch()
    assert too_large(sizes.folders(), 12) == {"orchestrator/cli": 13}
    assert too_large(sizes.lines(), 300) == {"orchestrator/cli/long.py": 301}
    assert too_large(sizes.functions(), 60) == {"orchestrator/cli/long.py:1 _long": 61}


def test_of_a_command_what_it_does_counts(house: Path) -> None:
    options = "\n".join(f"    option_{i}: int = 0," for i in range(60))
    (house / "commands.py").write_text(
        f'def run(\n{options}\n):\n    """Run."""\n    print()\n    print()\n\n\ndef _run(\n{options}\n):\n    """Run."""\n',
        encoding="utf-8",
    )
    assert list(sizes.functions().values()) == [2, 63]
