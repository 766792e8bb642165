"""What docstrings of specifications say: one line on the whole, and the meanings of fields and traits.

A field's meaning stands in the docstring of its class, or of one that this derives from, behind the field's name in double
backticks and a colon, at the beginning of a clause, and goes on to the next such or to the end of the sentence. A trait's is
its entry in the section ``Attributes``, or the docstring of its property.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any

from pydantic import BaseModel

_FIELDS = re.compile(r"(?:^|(?<=[.;] ))((?:``\w+``(?:, | and )?)+): ")
_SECTION = re.compile(r"\n\s*Attributes:\n(.*)", re.DOTALL)
_ENTRY = re.compile(r"^ +(\w+): (.*?)(?=^ +\w+: |\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_SENTENCE = re.compile(r"(?<!Fig)(?<!al)\. (?=[A-Z])")
_SEE = re.compile(r"[;.] see :.*$", re.IGNORECASE)
_REFERENCE = re.compile(r":\w+:`~?\.?([\w.]+)`")


def summary(thing: Any) -> str:
    """Return the first paragraph of a docstring in one line, up to its list of fields; empty where there is none."""
    first = next(_paragraphs(_own_docstring(thing)), "")
    return _plain(_SEE.sub("", _FIELDS.split(first)[0].strip()))


def field_meanings(spec: type, fields: Collection[str]) -> dict[str, str]:
    """Read the meanings of fields from the docstrings of a specification and its bases; its own comes first."""
    found: dict[str, str] = {}
    for base in _ours(spec):
        for paragraph in _paragraphs(_own_docstring(base)):
            _, *parts = _FIELDS.split(paragraph)
            for names, meaning in zip(parts[::2], parts[1::2], strict=True):
                for name in re.findall(r"\w+", names.replace(" and ", " ")):
                    if name in fields:
                        found.setdefault(name, _clause(meaning))
    return found


def trait_meanings(spec: type) -> dict[str, str]:
    """Read the meanings of the documented constants and properties of a class; those of its bases come first."""
    found: dict[str, str] = {}
    for base in reversed(_ours(spec)):
        section = _SECTION.search(_own_docstring(base) or "")
        for name, meaning in _ENTRY.findall(section[1] if section else ""):
            found[name] = _clause(" ".join(meaning.split()))
        for name, value in vars(base).items():
            if isinstance(value, property) and value.__doc__:
                text = _clause(next(_paragraphs(value.__doc__)))
                found.setdefault(name, text[:1].lower() + text[1:])
    return found


def _ours(spec: type) -> list[type]:
    """List a class and its bases, without pydantic's."""
    return [base for base in spec.__mro__ if base not in BaseModel.__mro__]


def _own_docstring(thing: Any) -> str | None:
    """Return the docstring of a function, or of a class that did not inherit it."""
    docstring: str | None = vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__
    return docstring


def _paragraphs(docstring: str | None) -> Iterator[str]:
    """Each paragraph in one line, without sections."""
    text = _SECTION.split(docstring or "")[0]
    return (" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip())


def _clause(text: str) -> str:
    """Return the first sentence."""
    return _plain(_SEE.sub("", _SENTENCE.split(text)[0]))


def _plain(text: str) -> str:
    """Without markup, and without the end of the clause."""
    return _REFERENCE.sub(r"\1", text).replace("``", "").strip().rstrip(";.")
