"""What the inputs maximise in evaluations. Each is a part of an evaluation's key, so a new field here is a new key."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.config.spec import Count, NonNegative, Positive, Spec


class Natural(Spec):
    """No attack: natural accuracy."""

    name: Literal["natural"] = "natural"


class _Adaptive(Spec):
    """An L-inf attack on a network whose inserted modules predict too.

    ``eps`` and ``step``: pixels in [0, 1]. ``beta_atk``: the weight of the modules in the joint loss that is maximised
    (CIFS eq. 3): a number, ``inf`` (the modules only), ``inf-2`` (the second module only), or ``own``, the weight that the
    network was trained with.
    """

    eps: Annotated[float, Field(ge=0, le=1)]
    beta_atk: Annotated[str, Field(pattern=r"^(own|\d+(\.\d+)?(e-?\d+)?|inf(-[1-9]\d*)?)$")] = "own"


class FGSM(_Adaptive):
    """Fast gradient sign method: one step of size eps from the image itself."""

    name: Literal["fgsm"] = "fgsm"


class _Ascent(_Adaptive):
    """Iterated signed steps from ``start``: a ``uniform`` point of the ball, or the image itself (``zero``).

    Of several ``restarts`` the most harmful end point of each example is kept.
    """

    step: Positive
    iterations: Count
    start: Literal["uniform", "zero"] = "uniform"
    restarts: Count = 1

    @model_validator(mode="after")
    def _distinct_restarts(self) -> Self:
        if self.restarts > 1 and self.start == "zero":
            raise ValueError(f"restarts = {self.restarts}: must be 1 with start=zero, where every restart would be the same")
        return self


class PGD(_Ascent):
    """Projected gradient ascent on the cross-entropy."""

    name: Literal["pgd"] = "pgd"


class CW(_Ascent):
    """Projected gradient ascent on the Carlini & Wagner margin with a ``confidence`` (50 in CIFS and FSR)."""

    name: Literal["cw"] = "cw"
    confidence: NonNegative = 50.0


Attack = Annotated[Natural | FGSM | PGD | CW, Field(discriminator="name")]
