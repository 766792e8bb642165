"""The fields of trials by their dotted names."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

from pydantic import BaseModel

from trainables.config.entrance.description import Field, fields_of
from trainables.config.terms.registry import KINDS, OneOf
from trainables.config.terms.spec import Named
from trainables.config.trial import TrialConfig


def dotted_fields(annotation: Any, prefix: str = "", within: tuple[type, ...] = ()) -> Iterator[tuple[str, type[BaseModel]]]:
    """List the dotted fields of every specification in ``annotation``, each with the specification that has it.

    An attack ``within`` one of its kind goes without.
    """
    if isinstance(annotation, OneOf):
        for spec in annotation.specs:
            yield from dotted_fields(spec, prefix, within)
    elif not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        for part in get_args(annotation):
            yield from dotted_fields(part, prefix, within)
    elif annotation not in within:
        for name, info in annotation.model_fields.items():
            yield f"{prefix}{name}", annotation
            for mark in (info.annotation, *info.metadata):
                yield from dotted_fields(mark, f"{prefix}{name}.", (*within, annotation))


def trial_fields() -> tuple[Field, ...]:
    """Every dotted field that some trial has, but for the seed; what several variants have alike comes once."""
    pairs = [(dotted, spec) for dotted, spec in dotted_fields(TrialConfig) if dotted != "seed" and not _is_base(spec)]
    choices: dict[str, list[str]] = {}
    for dotted, spec in pairs:
        if dotted.endswith(".name") and (variant := _variant(spec)):
            choices.setdefault(dotted, []).append(variant)
    described = {spec: {each.name: each for each in fields_of(spec)} for spec in dict.fromkeys(spec for _, spec in pairs)}
    defaults: dict[str, Any] = {}
    alike: dict[str, tuple[Field, list[str]]] = {}
    for dotted, spec in pairs:
        place, _, name = dotted.rpartition(".")
        if dotted in choices:
            chosen = (defaults[place] or {}).get("name")
            found = Field(dotted, " | ".join(dict.fromkeys(choices[dotted])), "", chosen, chosen is None, "which one")
        else:
            found = replace(described[spec][name], name=dotted)
            defaults[dotted] = found.default
        _, variants = alike.setdefault(repr(found), (found, []))
        if dotted not in choices and (variant := _variant(spec)) and variant not in variants:
            variants.append(variant)
    return tuple(replace(found, of=tuple(variants)) for found, variants in alike.values())


def _variant(spec: type[BaseModel]) -> str:
    """Return the name by which a specification is chosen; empty where there is nothing to choose."""
    name = spec.model_fields.get("name")
    return str(name.default) if name and get_args(name.annotation) == (name.default,) else ""


def _is_base(spec: type[BaseModel]) -> bool:
    """Whether a specification is only what others derive from."""
    return issubclass(spec, Named) and not any(spec is info for kind in KINDS for info in kind.infos.values())
