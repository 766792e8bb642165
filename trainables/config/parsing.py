"""Attacks and measures from JSON, and how configurations learn of what was registered."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter

from trainables.config.attacks import Attack
from trainables.config.measure import Measure
from trainables.config.registry import OpenNames
from trainables.config.trial import TrialConfig

#: As they are recorded.
ATTACK: TypeAdapter[Attack] = TypeAdapter(Attack)
MEASURE: TypeAdapter[Measure] = TypeAdapter(Measure)


def reopen() -> None:
    """Let every union take up what was registered since it was made."""
    for cls in dict.fromkeys((*_within(Attack), *_within(Measure), *_within(TrialConfig))):
        cls.model_rebuild(force=True)
    ATTACK.rebuild(force=True)
    MEASURE.rebuild(force=True)


def _within(annotation: Any) -> Iterator[type[BaseModel]]:
    """The configurations in an annotation that have others in them or a choice of names; inner ones first, to build on."""
    for part in get_args(annotation):
        yield from _within(part)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.values()
        for field in fields:
            yield from _within(field.annotation)
        marked = any(isinstance(mark, OpenNames) for field in fields for mark in field.metadata)
        if marked or any(_holds(field.annotation) for field in fields):
            yield annotation


def _holds(annotation: Any) -> bool:
    """Whether a configuration is in an annotation."""
    if isinstance(annotation, type):
        return issubclass(annotation, BaseModel)
    return any(_holds(part) for part in get_args(annotation))
