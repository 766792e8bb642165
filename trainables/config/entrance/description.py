"""Describe a specification for people: its fields and its traits, from its class."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import BaseModel

from trainables.config.entrance.docstrings import field_meanings, trait_meanings
from trainables.config.terms.aim import Aim
from trainables.config.terms.spec import Named

#: The value of a trait that numbers among the fields decide.
BY_FIELDS = "by its fields"

#: What every number among the fields is set to, to see whether a trait hangs on them.
_NUMBERS = ({"integer": 1, "number": 0.25}, {"integer": 2, "number": 0.5})


@dataclass(frozen=True)
class Field:
    """A field of a specification.

    Attributes:
        name: as it is set; of a trial's field with dots, such as ``training.lr``.
        type: in words, or the values that it may have.
        range: what a number may be, such as ``> 0``; empty where it may be any.
        default: what it is where nothing is said, as JSON has it; None too where it is ``required``.
        required: whether it has no default.
        meaning: in one line.
        of: names of the variants that have it so, such as the attacks; empty where there are none.
    """

    name: str
    type: str
    range: str
    default: Any
    required: bool
    meaning: str
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trait:
    """What a specification says of itself, which nobody sets.

    Attributes:
        name: of the constant or property.
        value: with the defaults of all fields; ``by its fields`` where numbers decide.
        meaning: in one line.
        otherwise: its other values, by the settings that make them: ``{"loss=dlr": 3}``.
    """

    name: str
    value: Any
    meaning: str
    otherwise: Mapping[str, Any] = field(default_factory=dict)


def fields_of(spec: type[BaseModel]) -> tuple[Field, ...]:
    """List the fields of a specification, without the ``name`` that chooses it."""
    properties = spec.model_json_schema()["properties"]
    meanings = field_meanings(spec, properties)
    return tuple(
        Field(name, _type(it), _range(it), it.get("default"), "default" not in it, meanings.get(name, ""))
        for name, it in properties.items()
        if not (name == "name" and "const" in it)
    )


def traits_of(spec: type[BaseModel]) -> tuple[Trait, ...]:
    """List the traits of a specification: its documented constants and properties."""
    schema = spec.model_json_schema()["properties"]
    numbers = [{name: given[it["type"]] for name, it in schema.items() if it.get("type") in given} for given in _NUMBERS]
    choices = [(name, option) for name, it in schema.items() for option in it.get("enum", ())]
    found = []
    for trait, meaning in trait_meanings(spec).items():
        if trait in schema or trait in vars(Named):
            continue
        value = _value(spec, trait, numbers)
        others = {f"{name}={o}": _value(spec, trait, [{**them, name: o} for them in numbers]) for name, o in choices}
        found.append(Trait(trait, value, meaning, {setting: other for setting, other in others.items() if other != value}))
    return tuple(found)


def _value(spec: type[BaseModel], trait: str, settings: Iterable[Mapping[str, Any]]) -> Any:
    """Return a trait as JSON has it, or :data:`BY_FIELDS` where it differs between these settings."""
    found = getattr(spec, trait)
    if not isinstance(found, property):
        return _json(found)
    try:
        first, *others = (_json(getattr(spec.model_construct(**given), trait)) for given in settings)
    except AttributeError:  # of a field that is required, and neither a number nor a choice
        return BY_FIELDS
    return first if all(other == first for other in others) else BY_FIELDS


def _json(value: Any) -> Any:
    match value:
        case Named():
            return value.name
        case Aim():
            return str(value)
        case Enum():
            return value.value
        case tuple():
            return [_json(one) for one in value]
    return value


def _type(schema: Mapping[str, Any]) -> str:
    """Say a field's type in words."""
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "discriminator" in schema:
        return f"fields of {' | '.join(schema['discriminator']['mapping'])}"
    if "enum" in schema or "const" in schema:
        return " | ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    words = {"integer": "integer", "number": "number", "boolean": "true | false", "string": "text", "null": "null"}
    return words.get(schema.get("type", ""), "fields")


def _range(schema: Mapping[str, Any]) -> str:
    """Say what a number may be, or each number of a list."""
    if inner := [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])]:
        return " or ".join(filter(None, map(_range, inner)))
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    parts = [f"{sign} {schema[bound]:g}" for bound, sign in signs.items() if bound in schema]
    return ", ".join([*parts, *([f"matches {schema['pattern']}"] if "pattern" in schema else [])])
