"""Attacks as one types them: ``pgd(iterations=100, restarts=5)``."""

import json
import re
from contextlib import suppress
from typing import Any

from orchestrator.errors import BadInput
from search_spaces.column import Column
from search_spaces.factor import Eps, Settings

_CALL = re.compile(r"\s*([a-z][a-z0-9-]*)\s*(?:\((.*)\))?\s*", re.DOTALL)
_FRACTION = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)")

#: Attacks that have no eps, or whose eps is in the attack that they carry.
_WITHOUT_EPS = frozenset({"natural", "as-training", "transfer"})

#: Attacks by steps of a fixed size, which is a tenth of eps unless it is given (CAS, CIFS and FSR's evaluations).
_STEPPED = frozenset({"pgd", "cw", "mim", "di-fgsm", "avg-pgd"})


def column(text: str) -> Column:
    """The column of an attack that was asked for by ``text``, which is its label.

    What is not given: ``eps`` is the profile's (in the L-inf norm; others have no such default), ``step`` a tenth of it, and
    ``beta_atk`` every one that the profile tries.

    Raises:
        BadInput: it is not written like ``name`` or ``name(field=value, ...)``.
    """
    settings = attack(text)
    beta = settings.get("beta_atk")
    return Column(" ".join(text.split()), settings, None if beta is None else (str(beta),))


def attack(text: str) -> Settings:
    """The fields of an attack; values are JSON, fractions such as 8/255, attacks in their turn, or plain words."""
    match = _CALL.fullmatch(text)
    if match is None:
        raise BadInput(f"--attack {text!r}: write a name, or a name and fields as in pgd(iterations=100, restarts=5)")
    name, inside = match[1], match[2] or ""
    fields: dict[str, Any] = {"name": name}
    for part in _parts(inside):
        field, equals, value = part.partition("=")
        field = field.strip().replace("steps", "iterations")
        if not equals or not field:
            raise BadInput(f"--attack {text!r}: {part.strip()!r} must be FIELD=VALUE, as in pgd(iterations=100, restarts=5)")
        if field in fields:
            raise BadInput(f"--attack {text!r}: {field} is given twice")
        read = _value(value.strip())
        fields[field] = str(read) if field == "beta_atk" else read  # a name, also where it looks like a number: inf, inf-2
    if name not in _WITHOUT_EPS and fields.get("norm", "linf") == "linf":
        fields.setdefault("eps", Eps())
    if name in _STEPPED and "eps" in fields:
        eps = fields["eps"]
        fields.setdefault("step", Eps(eps.times / 10) if isinstance(eps, Eps) else eps / 10)
    return fields


def number(option: str, text: str) -> float:
    """A number or a fraction.

    Raises:
        BadInput: it is neither.
    """
    found = _value(text.strip())
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise BadInput(f"{option} {text!r}: must be a number or a fraction, such as 0.03 or 8/255")
    return float(found)


def _parts(text: str) -> list[str]:
    """``text`` between the commas that are in no brackets."""
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
    if fraction := _FRACTION.fullmatch(text):
        return float(fraction[1]) / float(fraction[2])
    if "(" in text:
        return attack(text)
    for read in (json.loads, float):
        with suppress(ValueError):
            return read(text)
    return text.strip("'\"")
