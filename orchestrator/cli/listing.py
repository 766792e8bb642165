"""The command that lists what studies can be made of."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import Json, StudyFiles
from orchestrator.cli.printing import out, print_columns, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.api.listing import Listed
    from trainables.config.entrance.description import Field


def list_(
    what: Annotated[
        str | None,
        typer.Argument(help="modules, objectives, attacks, training-attacks, models, datasets, measures or fields."),
    ] = None,
    name: Annotated[str | None, typer.Argument(help="A single one, with its fields and traits.")] = None,
    study_file: StudyFiles = None,
    as_json: Json = False,
) -> None:
    """List what studies can be made of: modules, objectives, attacks and more, with their fields; or the fields of --set.

    Example: `advsweep list attacks pgd`
    """
    from orchestrator.api import listing

    files = study_file or ()
    if what is None:
        if as_json:
            print_json(dict(listing.LISTS))
        else:
            print_columns(("list", "holds"), listing.LISTS.items())
        return
    if what == "fields":
        fields = listing.fields(name, study_files=files)
        if as_json:
            print_json([asdict(each) for each in fields])
        else:
            _print_fields(fields)
        return
    found = listing.listing(what, name, study_files=files)
    if as_json:
        print_json([asdict(each) for each in found])
    elif name is None:
        print_columns(("name", "meaning"), ((each.name, _meaning(each)) for each in found))
    else:
        _print_one(found[0])


def _print_one(found: "Listed") -> None:
    out.print(f"{found.name}: {_meaning(found)}", markup=False, highlight=False)
    if found.fields:
        out.print()
        _print_fields(found.fields)
    if found.traits:
        out.print()
        rows = []
        for trait in found.traits:
            others = [f"{_value(value)} with {setting}" for setting, value in trait.otherwise.items()]
            rows.append((trait.name, "; ".join([_value(trait.value), *others]), trait.meaning))
        print_columns(("trait", "value", "meaning"), rows)


def _print_fields(fields: "Iterable[Field]") -> None:
    """Fields, and whose they are where variants have them."""
    rows = [
        (
            each.name,
            each.type,
            each.range,
            _default(each),
            each.meaning,
            ", ".join(each.of),
        )
        for each in fields
    ]
    if any(of for *_, of in rows):
        print_columns(("field", "type", "range", "default", "meaning", "of"), rows)
    else:
        print_columns(("field", "type", "range", "default", "meaning"), (row[:-1] for row in rows))


def _meaning(found: "Listed") -> str:
    return found.meaning + (f" (plugin of {found.plugin})" if found.plugin else "")


def _default(field: "Field") -> str:
    """Of a field that holds others, the name that chooses them; these have defaults of their own."""
    if field.required:
        return "required"
    return field.default.get("name", "") if isinstance(field.default, dict) else _value(field.default)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
