"""No attack, and what attacks have in common: a ball, aims at predictions, ways to gradients."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.config.spec import Count, NonNegative, Spec

#: How a change is measured: its largest pixel, its Euclidean length, the sum of its pixels.
Norm = Literal["linf", "l2", "l1"]

#: How a network's inserted modules are looked at while the attack searches; see :mod:`trainables.attacks.building_blocks.surrogate`.
View = Literal["plain", "soft", "train"]

Share = Annotated[float, Field(ge=0, le=1)]


class Tested(Spec):
    """Which images are attacked.

    ``split``: ``validation`` are those that were held out from the training set, to choose by; None are the test set's.
    ``examples``: at most so many of them, with the classes in the split's proportions; None for all. Which ones is the same for
    every trial and attack.
    """

    split: Annotated[Literal["validation"] | None, Field(exclude_if=lambda split: split is None)] = None
    examples: Count | None = None

    def check_inner(self, path: str, why: str) -> None:
        """That an attack which is a part of something, at ``path``, leaves its images to that.

        Raises:
            ValueError: it does not; with ``why`` it should.
        """
        for field in ("split", "examples"):
            if (value := getattr(self, field)) is not None:
                raise ValueError(f"{path}.{field} = {value}: must be null, for {why}")


class Natural(Tested):
    """No attack: natural accuracy."""

    name: Literal["natural"] = "natural"


class Linf(Tested):
    """``eps``: the largest change of a pixel, in [0, 1]."""

    eps: Share
    norm: Literal["linf"] = "linf"


class Normed(Tested):
    """``eps``: the largest change in ``norm``: of a pixel, or over the whole image."""

    eps: NonNegative
    norm: Norm = "linf"

    @model_validator(mode="after")
    def _pixels(self) -> Self:
        if self.norm == "linf" and self.eps > 1:
            raise ValueError(f"eps = {self.eps}: must be at most 1 with norm=linf, where pixels are in [0, 1]")
        return self


class Scored(Spec):
    """An attack on predictions, where inserted modules predict too.

    ``beta_atk``: the weight of the modules in the joint loss that is maximised (CIFS eq. 3): a number, ``inf`` (the modules
    only), ``inf-2`` (the second module only), or ``own``, the weight that the network was trained with. Whatever the weights,
    an example is broken where the final prediction is wrong.
    """

    beta_atk: Annotated[str, Field(pattern=r"^(own|\d+(\.\d+)?(e-?\d+)?|inf(-[1-9]\d*)?)$")] = "own"


class Differentiated(Scored):
    """An attack with gradients, taken through ``view``; what is broken is decided by the network as it is."""

    view: View = "plain"


class Expected(Differentiated):
    """``eot``: how many draws of a stochastic network a gradient is the mean of (Athalye et al., ICML 2018)."""

    eot: Count = 1
