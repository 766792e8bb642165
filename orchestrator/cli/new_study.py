"""The command that writes the template of a study."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.cli.printing import out
from orchestrator.errors import BadInput


def new_study(
    name: Annotated[str, typer.Argument(help="The study's name, such as mine/beta.")],
    form: Annotated[
        Literal["py", "toml"] | None, typer.Option("--format", help="Python or TOML; by default that of --output, or else py.")
    ] = None,
    plugins: Annotated[
        bool, typer.Option("--plugins", help="Add plugins: a module, an objective, attacks, a model and data, in Python.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="The file; by default the part of the name after the slash, in this folder.")
    ] = None,
) -> None:
    """Write a template of a study for --study-file; it can be run at once.

    Example: `advsweep new-study mine/beta --format toml`

    Example: `advsweep new-study mine/gate --plugins`
    """
    from orchestrator.authoring.plugin_template import PLUGINS
    from orchestrator.authoring.study_files import check_name, taken_names
    from orchestrator.authoring.study_templates import PYTHON, TOML

    check_name(name)
    if other := taken_names().get(name):
        raise BadInput(f"name = {name!r}: is taken by {other}")
    if output is None:
        output = Path(f"{name.partition('/')[2]}.{form or 'py'}")
    ending = output.suffix
    if plugins and ending != ".py":
        raise BadInput(f"--plugins: are written in Python, and not in {ending or 'a file without an ending'}")
    if ending not in ({".py", ".toml"} if form is None else {f".{form}"}):
        raise BadInput(f"--output {str(output)!r}: must end in {'.py or .toml' if form is None else f'.{form}'}")
    try:
        with output.open("x", encoding="utf-8") as file:
            text = PLUGINS if plugins else PYTHON if ending == ".py" else TOML
            file.write(text.replace("mine/beta", name).replace("THIS_FILE", output.name))
    except FileExistsError as error:
        raise BadInput(f"--output {str(output)!r}: is there already and stays as it is; name another file") from error
    except OSError as error:
        raise BadInput(f"--output {str(output)!r} cannot be written: {error.strerror}") from error
    out.print(
        f"{output}: see what it would run with `advsweep plan {name} --study-file {shlex.quote(str(output))} --profile demo`",
        markup=False,
        highlight=False,
    )
