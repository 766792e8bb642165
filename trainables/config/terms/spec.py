"""What every part of a configuration is."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class Spec(BaseModel):
    """A frozen value that refuses unknown fields, infinities and silent conversions (``"3"`` is no number)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Named(Spec):
    """A specification that is registered under its field ``name``.

    Attributes:
        implementation: of a built-in, where what does the work is: ``package.module:name``.
        numerics: of a built-in, the version of the numbers that it makes; raised by hand when they change, so that what was
            recorded before is told from what is recorded from there on. A plugin has a fingerprint of its code instead.
    """

    implementation: ClassVar[str] = ""
    numerics: ClassVar[int] = 1

    if TYPE_CHECKING:  # a field of every specification, with a type of its own

        @property
        def name(self) -> str: ...


Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
