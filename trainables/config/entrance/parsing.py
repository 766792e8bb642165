"""Attacks and measures from JSON, and how specifications learn of what was registered since they were made."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter

from trainables.config.attacks import Attack
from trainables.config.measure import Measure
from trainables.config.terms.registry import NameOf, OneOf
from trainables.config.trial import TrialConfig

#: As they are recorded.
ATTACK: TypeAdapter[Attack] = TypeAdapter(Attack)
MEASURE: TypeAdapter[Measure] = TypeAdapter(Measure)


def reopen() -> None:
    """Let every field that takes one of a kind know what is registered now."""
    for cls in dict.fromkeys((*_within(Attack), *_within(Measure), *_within(TrialConfig))):
        cls.model_rebuild(force=True)
    ATTACK.rebuild(force=True)
    MEASURE.rebuild(force=True)


def _within(annotation: Any, around: tuple[type, ...] = ()) -> Iterator[type[BaseModel]]:
    """The specifications in an annotation whose schema depends on what is registered; inner ones first, to build on.

    ``around``: those that it is within, which an attack that holds any attack leads back to.
    """
    for part in get_args(annotation):
        yield from _within(part, around)
    if isinstance(annotation, OneOf):
        for spec in annotation.specs:
            yield from _within(spec, around)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in around:
        marks = [mark for field in annotation.model_fields.values() for mark in (field.annotation, *field.metadata)]
        for mark in marks:
            yield from _within(mark, (*around, annotation))
        if any(_holds(mark) for mark in marks):
            yield annotation


def _holds(annotation: Any) -> bool:
    """Whether what is registered, or a specification, is in an annotation."""
    if isinstance(annotation, OneOf | NameOf):
        return True
    if isinstance(annotation, type):
        return issubclass(annotation, BaseModel)
    return any(_holds(part) for part in get_args(annotation))
