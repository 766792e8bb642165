"""The text syntax of attacks and measures: ``pgd(iterations=100, restarts=5)``."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic.fields import FieldInfo

from orchestrator.errors import BadInput, suggest
from search_spaces.column import Column
from search_spaces.settings import Eps, Settings
from search_spaces.study import Panel
from trainables.config.terms.registry import ATTACK, TRAINING_ATTACK

_CALL = re.compile(r"\s*([a-z][a-z0-9-]*)\s*(?:\((.*)\))?\s*", re.DOTALL)
_NUMBER = r"(\d+(?:\.\d+)?)"
_DIVISOR = rf"(?=[\d.]*[1-9]){_NUMBER}"  # not 0
_FRACTION = re.compile(rf"{_NUMBER}\s*/\s*{_DIVISOR}")
_MULTIPLE = re.compile(rf"(?:{_NUMBER}\s*\*\s*)?eps(?:\s*/\s*{_DIVISOR})?")

#: Fields of a measure that are attacks.
_ATTACKS = frozenset({"attack", "reference"})


def column(text: str) -> Column:
    """Parse an attack into a column, whose label is the text.

    Defaults: ``eps`` is the profile's (in the L-inf norm only), ``step`` a tenth of it, and ``beta_atk`` every one that the
    profile tries.

    Raises:
        BadInput: the text is not of the form ``name`` or ``name(field=value, ...)``.
    """
    settings = attack(text)
    beta = settings.get("beta_atk")
    return Column(" ".join(text.split()), settings, None if beta is None else (str(beta),))


def panel(text: str) -> Panel:
    """Parse a measure, such as ``sensitivity(attack=pgd(iterations=20))``; its label is the text.

    An attack in it has the syntax of :func:`attack`.

    Raises:
        BadInput: the text is not of the form ``name`` or ``name(field=value, ...)``.
    """
    fields = _call("--measure", text, "sensitivity(attack=pgd(iterations=20))")
    # A bare word such as natural is an attack in these fields, and a text in others.
    words = {field for field in _ATTACKS & fields.keys() if isinstance(fields[field], str)}
    return Panel(" ".join(text.split()), {k: attack(v) if k in words else v for k, v in fields.items()})


def attack(text: str) -> Settings:
    """Parse an attack into its fields; values are JSON, fractions (8/255), multiples of eps (eps/4), attacks or words."""
    fields = _call("--attack", text, "pgd(iterations=100, restarts=5)")
    name = fields["name"]
    has = _fields(name)
    if fields.get("norm", "linf") == "linf" and "eps" in has:
        fields.setdefault("eps", Eps())
    # The step size is a tenth of eps by default, as in the evaluations of CAS, CIFS and FSR.
    if name in ATTACK.infos and "eps" in fields and "step" in has and has["step"].is_required():
        eps = fields["eps"]
        fields.setdefault("step", Eps(eps.times / 10) if isinstance(eps, Eps) else eps / 10)
    return fields


def _call(option: str, text: str, example: str) -> dict[str, Any]:
    """Parse ``name(field=value, ...)`` into fields, ``name`` among them."""
    match = _CALL.fullmatch(text)
    if match is None:
        raise BadInput(f"{option} {text!r}: write a name, or a name and fields as in {example}")
    fields: dict[str, Any] = {"name": match[1]}
    for part in _parts(match[2] or ""):
        field, equals, value = part.partition("=")
        field = _field(match[1], field.strip())
        if not equals or not field:
            raise BadInput(f"{option} {text!r}: {part.strip()!r} must be FIELD=VALUE, as in {example}")
        if field in fields:
            raise BadInput(f"{option} {text!r}: {field} is given twice")
        read = _value(value.strip())
        fields[field] = str(read) if field == "beta_atk" else read  # a name, also where it looks like a number: inf, inf-2
    _check_fields(match[1], fields)
    return fields


def _check_fields(name: str, fields: Mapping[str, Any]) -> None:
    """Check that an attack has these fields, before one that is misspelt is said to be missing."""
    has = _fields(name)
    for field in fields.keys() - has.keys() if has else ():
        meant = suggest(field, sorted(has.keys() - {"name"}), likeness=0.7)
        raise BadInput(f"attack {name}: {field} = {fields[field]!r}: there is no such field; {meant}")


def _field(name: str, field: str) -> str:
    """Resolve an alias: ``steps`` means ``iterations`` for an attack that has this field and no field ``steps``."""
    has = _fields(name)
    return "iterations" if field == "steps" and "iterations" in has and "steps" not in has else field


def _fields(name: str) -> Mapping[str, FieldInfo]:
    """Look up the fields of an attack or a training attack by its name; empty for other names."""
    known = {**TRAINING_ATTACK.infos, **ATTACK.infos}
    return known[name].model_fields if name in known else {}


def number(option: str, text: str) -> float:
    """Parse a number or a fraction.

    Raises:
        BadInput: ``text`` is neither.
    """
    found = _value(text.strip())
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise BadInput(f"{option} {text!r}: must be a number or a fraction, such as 0.03 or 8/255")
    return float(found)


def quantity(text: str) -> float | Eps | None:
    """Parse a fraction (``8/255``) or a multiple of the profile's eps (``eps/4``, ``2*eps``); None for other texts."""
    if multiple := _MULTIPLE.fullmatch(text):
        return Eps(float(multiple[1] or 1) / float(multiple[2] or 1))
    fraction = _FRACTION.fullmatch(text)
    return float(fraction[1]) / float(fraction[2]) if fraction else None


def _parts(text: str) -> list[str]:
    """Split ``text`` at the commas outside brackets."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += character in "([{"
        depth -= character in ")]}"
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [part for part in (*parts, current) if part.strip()]


def _value(text: str) -> Any:
    if (found := quantity(text)) is not None:
        return found
    if "(" in text:
        return attack(text)
    for read in (json.loads, float):
        with suppress(ValueError):
            return read(text)
    return text.strip("'\"")
