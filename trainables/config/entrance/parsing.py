"""Parsers of attacks and measures from JSON, and the update of configuration classes after a registration."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter

from trainables.config.attacks import Attack
from trainables.config.measure import Measure
from trainables.config.terms.registry import NameOf, OneOf
from trainables.config.trial import TrialConfig

#: Parsers of attacks and measures as the record stores them.
ATTACK: TypeAdapter[Attack] = TypeAdapter(Attack)
MEASURE: TypeAdapter[Measure] = TypeAdapter(Measure)


def reopen() -> None:
    """Rebuild the schemas of all configuration classes, so that their fields accept everything registered so far."""
    for cls in dict.fromkeys((*_within(Attack), *_within(Measure), *_within(TrialConfig))):
        cls.model_rebuild(force=True)
    ATTACK.rebuild(force=True)
    MEASURE.rebuild(force=True)


def _within(annotation: Any, around: tuple[type, ...] = ()) -> Iterator[type[BaseModel]]:
    """Yield the specifications in an annotation whose schemas depend on what is registered, inner ones first.

    ``around``: the specifications that contain the annotation; they are skipped, since an attack may contain any attack.
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
    """Whether an annotation contains a specification, or refers to what is registered."""
    if isinstance(annotation, OneOf | NameOf):
        return True
    if isinstance(annotation, type):
        return issubclass(annotation, BaseModel)
    return any(_holds(part) for part in get_args(annotation))
