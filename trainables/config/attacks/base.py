"""What attacks have in common: what they promise, the images they are on, a ball, aims at predictions, ways to gradients."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trainables.config.data import Data
from trainables.config.terms.aim import PATTERN, Aim
from trainables.config.terms.passes import FORWARD, counted_by_fields
from trainables.config.terms.registry import ATTACK
from trainables.config.terms.spec import Count, Named, NonNegative

#: How a change is measured: its largest pixel, its Euclidean length, the sum of its pixels.
Norm = Literal["linf", "l2", "l1"]

#: How a network's inserted modules are looked at while the attack searches; see
#: :mod:`trainables.attacks.building_blocks.surrogate`.
View = Literal["plain", "soft", "train"]

Share = Annotated[float, Field(ge=0, le=1)]


class Sees(StrEnum):
    """What an attack can use of the network, from everything to nothing."""

    GRADIENTS = "gradients"
    SCORES = "scores"
    DECISIONS = "decisions"
    NOTHING = "nothing"


class AttackSpec(Named):
    """What every attack is: traits, which are constants of its class, and which images it is on, which are fields.

    ``split``: which images: the test set's where it is null, or those that were held out from the training set, to choose by
    (``validation``). ``examples``: at most so many images, with the classes in the split's proportions; all where it is null.
    Which ones is the same for every trial and attack.

    These names mean the same wherever an attack has them. ``norm``: how the change is measured: by its largest pixel (linf),
    its Euclidean length (l2), or the sum of its pixels (l1). ``step``: the length of a step in that norm. ``iterations``:
    steps of one run. ``restarts``: how many runs there are; of each example the most harmful one is kept. ``queries``: at
    most so many forward passes of one image. ``start``: a ``uniform`` point of the ball, or the image itself (``zero``).

    Attributes:
        sees: what it uses of the network. Every attack must say so: the checklist of obfuscated gradients compares by it.
        iterates: whether it takes many steps to make one image.
        ensemble: whether it is made of attacks of several kinds, so that it is evidence for none of them.
        stepwise: whether its steps do not depend on how many there will be and each is judged, so that fewer of them are its
            beginning.
        direct: whether it is made on the attacked network itself.
    """

    sees: ClassVar[Sees]
    iterates: ClassVar[bool] = False
    ensemble: ClassVar[bool] = False
    stepwise: ClassVar[bool] = False
    direct: ClassVar[bool] = True

    split: Annotated[Literal["validation"] | None, Field(exclude_if=lambda split: split is None)] = None
    examples: Count | None = None

    @property
    def aim(self) -> Aim | None:
        """At which predictions it aims; None for attacks that know nothing of the network's predictions."""
        return None

    @property
    def gradient_steps(self) -> int | None:
        """The steps, over all restarts, by which the record says when an example was broken; None for attacks without them."""
        return None

    @property
    def least_classes(self) -> int:
        """How many classes a data set must have for it."""
        return 2

    @property
    def remark(self) -> str:
        """What a table must say of it: how it differs from what its name stands for; empty where it does not."""
        return ""

    def on(self, classes: int) -> Self:
        """Return the attack in the form in which it runs on data of so many classes."""
        return self

    def passes(self, classes: int) -> float:
        """Count the passes of an unbroken image, among so many ``classes``; see :mod:`trainables.config.terms.passes`."""
        return counted_by_fields(self)

    def check_inner(self, path: str, why: str) -> None:
        """Check that an attack which is a part of something, at ``path``, leaves its images to that.

        Raises:
            ValueError: it does not; with ``why`` it should.
        """
        for field in ("split", "examples"):
            if (value := getattr(self, field)) is not None:
                raise ValueError(f"{path}.{field} = {value}: must be null, for {why}")

    def check_classes(self, path: str, data: Data) -> None:
        """Check that the data, which an attack at ``path`` is on, have as many classes as it needs.

        Raises:
            ValueError: they do not.
        """
        if data.info.classes < self.least_classes:
            needs = f"needs data of {self.least_classes} or more classes as it is set"
            raise ValueError(f"{path}.name = {self.name!r}: {needs}; data.dataset = {data.dataset!r} has {data.info.classes}")


@ATTACK.built_in
class Natural(AttackSpec):
    """No attack: natural accuracy."""

    implementation = "trainables.attacks.methods.natural:attack"
    sees = Sees.NOTHING
    direct = False

    name: Literal["natural"] = "natural"

    def passes(self, classes: int) -> float:
        return FORWARD


class Linf(AttackSpec):
    """An attack within a cube. ``eps``: the largest change of a pixel, in [0, 1]."""

    eps: Share
    norm: Literal["linf"] = "linf"


class Normed(AttackSpec):
    """An attack within a ball. ``eps``: the largest change in ``norm``: of a pixel, or over the whole image."""

    eps: NonNegative
    norm: Norm = "linf"

    @model_validator(mode="after")
    def _pixels(self) -> Self:
        if self.norm == "linf" and self.eps > 1:
            raise ValueError(f"eps = {self.eps}: must be at most 1 with norm=linf, where pixels are in [0, 1]")
        return self


class Scored(AttackSpec):
    """An attack on predictions, where inserted modules predict too.

    ``beta_atk``: the weight of the modules in the joint loss that is maximised (CIFS eq. 3): a number, ``inf`` (the modules
    only), ``inf-2`` (the second module only), or ``own``, the weight that the network was trained with. Whatever the weights,
    an example is broken where the final prediction is wrong.
    """

    beta_atk: Annotated[str, Field(pattern=PATTERN)] = "own"

    @property
    def aim(self) -> Aim:
        return Aim.parse(self.beta_atk)


class Differentiated(Scored):
    """An attack with gradients; what is broken is decided by the network as it is.

    ``view``: what is differentiated: the network itself (``plain``), or its inserted modules seen otherwise (``soft``,
    ``train``).
    """

    sees = Sees.GRADIENTS

    view: View = "plain"


class Expected(Differentiated):
    """An attack with averaged gradients.

    ``eot``: how many draws of a stochastic network a gradient is the mean of (Athalye et al., ICML 2018).
    """

    eot: Count = 1
