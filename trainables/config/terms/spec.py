"""Bases and number types of all specifications."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class Spec(BaseModel):
    """Base of all specifications: frozen, and strict about unknown fields, infinities and types (``"3"`` is no number)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Named(Spec):
    """A specification that is registered under its field ``name``.

    Attributes:
        implementation: name of the function or class that does the work: ``package.module:name``.
        numerics: version of the numbers that a built-in computes, raised by hand when they change, so that older records are
            recognised. A plugin has a fingerprint of its code instead.
    """

    implementation: ClassVar[str] = ""
    numerics: ClassVar[int] = 1

    if TYPE_CHECKING:  # a field of every subclass, each with its own Literal type

        @property
        def name(self) -> str: ...


Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
