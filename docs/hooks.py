"""Hooks of the documentation's build: the page of commands, made from the code, and docstrings' references as plain code."""

import re
from typing import Any

import click
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

COMMANDS = "reference/commands.md"

INTRODUCTION = """# Commands

Every command prints its options with `--help`, which is what this page is made from. `advsweep --version` prints the version.
"""

#: A reference as docstrings write it, once it is HTML: ``:func:`~package.module.name```.
_REFERENCE = re.compile(r":(?:class|func|meth|mod|data|attr):<code>(~?)([\w.]+)</code>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of commands."""
    files.append(File.generated(config, COMMANDS, content=commands_page()))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Show docstrings' references as code, shortened as they ask for."""
    return _REFERENCE.sub(lambda m: f"<code>{m[2].rpartition('.')[2] if m[1] else m[2]}</code>", html)


def commands_page() -> str:
    """Every command with its usage, its help, its arguments and its options, as Markdown."""
    from orchestrator.cli import app

    group: Any = typer.main.get_command(app)
    context = click.Context(group, info_name="advsweep")
    return "\n".join([INTRODUCTION, *(_command(command, name, context) for name, command in group.commands.items())])


def _command(command: Any, name: str, parent: click.Context) -> str:
    context = type(parent)(command, info_name=name, parent=parent)
    usage = " ".join(["advsweep", name, *command.collect_usage_pieces(context)])
    rows = [_row(parameter, context) for parameter in command.params if not getattr(parameter, "hidden", False)]
    lines = [f"## advsweep {name}", "", f"```\n{usage}\n```", "", _paragraphs(command.help or ""), ""]
    return "\n".join([*lines, "| | meaning |", "|---|---|", *rows, ""])


def _row(parameter: Any, context: click.Context) -> str:
    if parameter.param_type_name == "argument":
        return f"| `{parameter.make_metavar(context)}` | {_cell(getattr(parameter, 'help', '') or '')} |"
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    takes = "" if parameter.is_flag else f" `{_cell(parameter.make_metavar(context))}`"
    default = parameter.get_default(context)
    shown = "" if parameter.is_flag or default in (None, ()) else f" Default: `{_cell(str(default))}`."
    variable = f" Environment variable: `{parameter.envvar}`." if parameter.envvar else ""
    return f"| {names}{takes} | {_cell(parameter.help or '')}{shown}{variable} |"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
