"""Conversion of docstrings to the documentation's Markdown: references become code, and examples code blocks."""

import re
from typing import Any

from griffe import Extension, Object

#: ``:func:`~package.module.name```, with one backtick or with two.
_REFERENCE = re.compile(r":(?:class|func|meth|mod|data|attr):`(~?)\.?([\w.]+)`")

#: From a prompt to the next empty line.
_EXAMPLE = re.compile(r"^( *)>>> .*?(?=\n *\n|\Z)", re.MULTILINE | re.DOTALL)


class Docstrings(Extension):
    """An extension of griffe that converts every docstring to Markdown."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Convert the references and examples of a docstring to Markdown."""
    text = _REFERENCE.sub(lambda m: f"`{m[2].rpartition('.')[2] if m[1] else m[2]}`", text)
    return _EXAMPLE.sub(lambda m: f"{m[1]}```pycon\n{m[0]}\n{m[1]}```", text)
