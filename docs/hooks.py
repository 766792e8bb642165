"""Hooks of the documentation's build: pages on commands and built-ins are made from the code; no other host is asked."""

import json
import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

COMMANDS, BUILT_INS = "reference/commands.md", "reference/built_ins.md"

INTRODUCTION = """# Commands

Every command prints its options with `--help`, which is what this page is made from. `advsweep --version` prints the version.
"""

BUILT_INS_INTRODUCTION = """# Built-ins

What studies can be made of, with fields and traits. `advsweep list` prints the same, plugins included;
`advsweep list fields` prints every field that `--set` takes. A field without a default must be set. A trait that is
*by its fields* is decided by numbers among them.
"""

_FETCHED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of commands and of built-ins."""
    files.append(File.generated(config, COMMANDS, content=commands_page()))
    files.append(File.generated(config, BUILT_INS, content=built_ins_page()))
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


def built_ins_page() -> str:
    """Every built-in by kind, with its meaning, fields and traits, as Markdown."""
    from orchestrator.api.listing import LISTS, listing

    lines = [BUILT_INS_INTRODUCTION]
    for what, meaning in LISTS.items():
        if what != "fields":
            lines += [f"## {what}", "", f"{meaning[:1].upper()}{meaning[1:]}.", ""]
            lines += [line for each in listing(what) if each.plugin is None for line in _built_in(each)]
    return "\n".join(lines)


def _built_in(each: Any) -> list[str]:
    lines = [f"### {each.name}", "", f"{each.meaning}.", ""]
    if each.fields:
        lines += ["| field | type | range | default | meaning |", "|---|---|---|---|---|"]
        lines += [_row(f"`{f.name}`", f.type, f.range.replace("\\", "\\\\"), _default(f), f.meaning) for f in each.fields]
        lines.append("")
    if each.traits:
        lines += ["| trait | value | meaning |", "|---|---|---|"]
        for trait in each.traits:
            others = [f"{_value(value)} with `{setting}`" for setting, value in trait.otherwise.items()]
            lines.append(_row(f"`{trait.name}`", "; ".join([_value(trait.value), *others]), trait.meaning))
        lines.append("")
    return lines


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _default(field: Any) -> str:
    if field.required:
        return ""
    return f"`{field.default['name']}`" if isinstance(field.default, dict) else _value(field.default)


def _value(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
