"""Hooks of the documentation's build: the page of commands is made from the code, and nothing is fetched from another host."""

import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

COMMANDS = "reference/commands.md"

INTRODUCTION = """# Commands

Every command prints its options with `--help`, which is what this page is made from. `advsweep --version` prints the version.
"""

_FETCHED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of commands."""
    files.append(File.generated(config, COMMANDS, content=commands_page()))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse pages for which a browser would fetch files from another host."""
    for page in Path(config.site_dir).rglob("*.html"):
        if found := _FETCHED.search(page.read_text(encoding="utf-8")):
            raise PluginError(f"{page.name}: {found[0]} is fetched from another host")


def commands_page() -> str:
    """Write the page of commands in Markdown: each with its help, arguments and options."""
    from orchestrator.cli import app

    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="advsweep")
    return "\n".join([INTRODUCTION, *(_command(command, name, context) for name, command in group.commands.items())])


def _command(command: Any, name: str, parent: Any) -> str:
    context = command.context_class(command, info_name=name, parent=parent)
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [f"| `{usage}` | {_cell(meaning)} |" for usage, meaning in filter(None, records)]
    lines = [f"## advsweep {name}", "", _paragraphs(command.help or ""), "", "| | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
